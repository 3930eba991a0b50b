# Paths and methods: what is served, and what is a problem.

use Test::Nginx::Socket 'no_plan';

# the caller is named by the request: c(ompany), u(ser) and p(ermissions)
add_block_preprocessor(sub {
    my ($block) = @_;
    $block->set_value('http_config', ($block->http_config || '') . <<'CONF');
    agents_store sqlite:$TEST_NGINX_SERVER_ROOT/logs/agents.db;
    agents_provider p { protocol openai; endpoint http://127.0.0.1:1/v1; }
    agents_data_plane f79cbdae-4848-47ca-95e8-69588364d185 {
        cluster shared;
        model m provider=p max_tokens=32000;
    }
CONF
    $block->set_value('config', <<'CONF') if !defined $block->config;
    location /agents {
        agents_api;
        agents_auth variables $arg_c $arg_u $arg_p;
    }
    location /errors { agents_errors; }
CONF
});

no_root_location();
run_tests();

__DATA__

=== TEST 1: paths that are none of the API's
--- request eval
[map { "GET $_?c=acme&u=ann&p=read" }
 '/agents', '/agents/', '/agentsx', '/agents/conversation',
 '/agents/conversations/', '/agents//conversations', '//agents/conversations',
 '/agents/conversations//', '/agents/./conversations',
 '/agents/x/../conversations', '/agents/Conversations',
 '/agents/conversations/01890000-0000-7000-8000-000000000000/', '/agents/conversations/01890000-0000-7000-8000-000000000000/messages/',
 '/agents/conversations/01890000-0000-7000-8000-000000000000//messages', '/agents/conversations/01890000-0000-7000-8000-000000000000/message',
 '/agents/conversations//messages', '/agents/runs', '/agents/runs/',
 '/agents/runs/01890000-0000-7000-8000-000000000000/', '/agents/runs/01890000-0000-7000-8000-000000000000/x', '/agents%2Fconversations',
 '/agents/conversations%2F', '/agents/conversations%3F',
 '/agents/models/', '/agents//models', '/agents/models/x', '/agents/modelsx',
 '/agents/conversations/x/runs/', '/agents/conversations/x//runs',
 '/agents/conversations/x/runs/y']
--- error_code eval
[(404) x 30]
--- response_headers eval
[("Content-Type: application/problem+json") x 30]
--- response_body_like eval
[('\A\{"type":"http://localhost/errors/not-found","title":"Not Found","status":404,') x 30]
--- no_error_log
[error]
[alert]


=== TEST 2: they are a 404 for who is not known, too
--- request eval
["GET /agents/nothing", "POST /agentsx\n{}", "DELETE /agents/conversations/"]
--- error_code eval
[404, 404, 404]
--- response_headers eval
[("Content-Type: application/problem+json\n!WWW-Authenticate\n!Allow") x 3]
--- response_body_like eval
[('\A\{"type":"http://localhost/errors/not-found","title":"Not Found","status":404,') x 3]
--- no_error_log
[error]


=== TEST 3: the API outside of its location is nginx's
--- request eval
["GET /x", "GET /agent", "GET /Agents/conversations"]
--- error_code eval
[404, 404, 404]
--- response_headers eval
[("Content-Type: text/html") x 3]


=== TEST 4: an id that is none, and one that was never given
--- request eval
[map { ("GET /agents/conversations/$_?c=acme&u=ann&p=read",
        "GET /agents/conversations/$_/messages?c=acme&u=ann&p=read",
        "GET /agents/conversations/$_/runs?c=acme&u=ann&p=read",
        "GET /agents/runs/$_?c=acme&u=ann&p=read") }
 '01890000-0000-7000-8000-000000000000', 'x', '0', '01890000-0000-7000-8000-0000000000000', '{01890000-0000-7000-8000-000000000000}', '018900000000700080000000000000000000',
 '%27%20OR%201=1--']
--- error_code eval
[(404) x 28]
--- response_headers eval
[("Content-Type: application/problem+json\n!Allow\n!ETag") x 28]
--- response_body_like eval
[('\A\{"type":"http://localhost/errors/not-found","title":"Not Found","status":404,') x 28]
--- no_error_log
[error]


=== TEST 5: another method: 405 and Allow, whoever asks
--- request eval
["PUT /agents/conversations", "DELETE /agents/conversations",
 "PATCH /agents/conversations\n{}", "PROPFIND /agents/conversations",
 "POST /agents/conversations/01890000-0000-7000-8000-000000000000/messages\n{}",
 "PUT /agents/conversations/x/runs", "POST /agents/runs/01890000-0000-7000-8000-000000000000\n{}",
 "FOO /agents/runs/01890000-0000-7000-8000-000000000000",
 "PUT /agents/conversations/01890000-0000-7000-8000-000000000000", "POST /agents/models\n{}"]
--- error_code eval
[(405) x 10]
--- response_headers eval
[("Content-Type: application/problem+json
Allow: GET, HEAD, OPTIONS, POST") x 4,
 "Content-Type: application/problem+json
Allow: GET, HEAD, OPTIONS",
 "Content-Type: application/problem+json
Allow: GET, HEAD, OPTIONS, POST",
 ("Content-Type: application/problem+json
Allow: GET, HEAD, OPTIONS") x 2,
 "Content-Type: application/problem+json
Allow: DELETE, GET, HEAD, OPTIONS, PATCH",
 "Content-Type: application/problem+json
Allow: GET, HEAD, OPTIONS"]
--- response_body_like eval
[('\A\{"type":"http://localhost/errors/method-not-allowed","title":"Method Not Allowed","status":405,') x 10]
--- no_error_log
[error]


=== TEST 6: OPTIONS needs no token
--- request eval
["OPTIONS /agents/conversations", "OPTIONS /agents/conversations/01890000-0000-7000-8000-000000000000",
 "OPTIONS /agents/conversations/01890000-0000-7000-8000-000000000000/messages",
 "OPTIONS /agents/conversations/01890000-0000-7000-8000-000000000000/runs", "OPTIONS /agents/runs/01890000-0000-7000-8000-000000000000",
 "OPTIONS /agents/runs/x", "OPTIONS /agents/models",
 "OPTIONS /agents/runs/x/cancel"]
--- error_code eval
[(204) x 8]
--- response_headers eval
["Allow: GET, HEAD, OPTIONS, POST\n!Content-Type\n!WWW-Authenticate",
 "Allow: DELETE, GET, HEAD, OPTIONS, PATCH", "Allow: GET, HEAD, OPTIONS",
 "Allow: GET, HEAD, OPTIONS, POST", "Allow: GET, HEAD, OPTIONS",
 "Allow: GET, HEAD, OPTIONS", "Allow: GET, HEAD, OPTIONS",
 "Allow: OPTIONS, POST"]
--- response_body eval
[("") x 8]
--- no_error_log
[error]


=== TEST 7: OPTIONS of what is not there
--- request eval
["OPTIONS /agents/nothing", "OPTIONS /agents/conversations/"]
--- error_code eval
[404, 404]


=== TEST 8: HEAD of problems has no body
--- request eval
["HEAD /agents/conversations", "HEAD /agents/nothing",
 "HEAD /agents/runs/x?c=acme&u=ann&p=read"]
--- error_code eval
[401, 404, 404]
--- response_headers eval
[("Content-Type: application/problem+json") x 3]
--- response_headers_like eval
[("Content-Length: [1-9][0-9]+") x 3]
--- response_body eval
[("") x 3]


=== TEST 9: GET may have a body, which is not read
--- request eval
["GET /agents/conversations?c=acme&u=body&p=read
{\"x\": 1", "GET /agents/conversations?c=acme&u=body&p=read"]
--- error_code eval
[200, 200]
--- response_body_like eval
[('"total_records":0') x 2]
--- no_error_log
[error]


=== TEST 10: TRACE is nginx's to refuse
--- request
TRACE /agents/conversations
--- error_code: 405


=== TEST 11: two requests on one connection
--- pipelined_requests eval
["GET /agents/conversations?c=acme&u=two&p=read", "GET /agents/x",
 "PUT /agents/conversations", "GET /agents/conversations?c=acme&p=read",
 "GET /agents/conversations?c=acme&u=two&p=read"]
--- error_code eval
[200, 404, 405, 401, 200]
--- no_error_log
[error]


=== TEST 12: a run is cancelled by POST alone
--- request eval
["OPTIONS /agents/runs/x/cancel", "GET /agents/runs/x/cancel",
 "DELETE /agents/runs/x/cancel", "POST /agents/runs/x/cancel/\n{}",
 "POST /agents/runs/x//cancel\n{}", "POST /agents/runs/cancel\n{}",
 "POST /agents/runs/x/cancel?c=acme&u=ann&p=write\n{}",
 "POST /agents/runs/x/cancel?c=acme&u=ann&p=read\n{}"]
--- error_code eval
[204, 405, 405, 404, 404, 405, 404, 403]
--- response_headers eval
["Allow: OPTIONS, POST",
 ("Content-Type: application/problem+json\nAllow: OPTIONS, POST") x 2,
 ("Content-Type: application/problem+json\n!Allow") x 2,
 "Allow: GET, HEAD, OPTIONS",
 ("Content-Type: application/problem+json\n!Allow") x 2]
--- no_error_log
[error]
