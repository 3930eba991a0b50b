# Who asks, and what for: 401 and 403, by variables and by token.

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

=== TEST 1: variables: no company, no user
--- request eval
["GET /agents/conversations", "GET /agents/conversations?c=acme&p=read",
 "GET /agents/conversations?u=ann&p=read",
 "GET /agents/conversations?c=&u=ann&p=read",
 "GET /agents/runs/x", "GET /agents/conversations/x/messages",
 "POST /agents/conversations\n{}", "POST /agents/conversations/x/runs\n{}"]
--- error_code eval
[(401) x 8]
--- response_headers eval
[("Content-Type: application/problem+json
WWW-Authenticate: Bearer") x 8]
--- response_body_like eval
[('\A\{"type":"http://localhost/errors/unauthorized","title":"Unauthorized","status":401,') x 8]
--- no_error_log
[error]


=== TEST 2: variables: the permission is missing
--- request eval
["GET /agents/conversations?c=acme&u=ann",
 "GET /agents/conversations?c=acme&u=ann&p=write",
 "GET /agents/runs/x?c=acme&u=ann&p=other",
 "GET /agents/conversations/x/messages?c=acme&u=ann&p=readx",
 "GET /agents/conversations?c=acme&u=ann&p=READ",
 "HEAD /agents/conversations?c=acme&u=ann&p=write",
 "POST /agents/conversations?c=acme&u=ann&p=read\n{}",
 "POST /agents/conversations/x/runs?c=acme&u=ann&p=read\n{}"]
--- error_code eval
[(403) x 8]
--- response_headers eval
[("Content-Type: application/problem+json
WWW-Authenticate: Bearer error=\"insufficient_scope\"") x 8]
--- response_body_like eval
[('\A\{"type":"http://localhost/errors/insufficient-scope","title":"Insufficient Scope","status":403,.*agent_conversations:read') x 5,
 '\A\z', ('agent_conversations:write') x 2]
--- no_error_log
[error]


=== TEST 3: variables: permissions by blanks or commas, short or in full
--- config
    location /agents {
        agents_api;
        agents_auth variables $arg_c $arg_u $http_x_permissions;
    }
--- request eval
[("GET /agents/conversations?c=acme&u=perm") x 6]
--- more_headers eval
["X-Permissions: read", "X-Permissions: write read",
 "X-Permissions: write,read", "X-Permissions: a, agent_conversations:read , b",
 "X-Permissions: agent_conversations:write\tread",
 "X-Permissions: agent_conversations:write"]
--- error_code eval
[200, 200, 200, 200, 200, 403]
--- no_error_log
[error]


=== TEST 4: variables: names may be any UTF-8 text, and nothing else
--- config
    location /agents {
        agents_api;
        agents_auth variables $http_x_company $http_x_user read;
    }
--- request eval
[("GET /agents/conversations") x 4]
--- more_headers eval
["X-Company: A & B \"Co\"\nX-User: m\xc3\xbcller\@example.com",
 "X-Company: a\nX-User: " . "u" x 500,
 "X-Company: a\nX-User: \xff\xfe", "X-Company: a\nX-User: x\xc0\x80"]
--- error_code eval
[200, 200, 401, 401]
--- no_error_log
[error]


=== TEST 5: tokens: none, of another scheme
--- config
    location /agents {
        agents_api;
        agents_auth token;
    }
--- request eval
[("GET /agents/conversations") x 6, "POST /agents/conversations\n{}"]
--- more_headers eval
["X: y", "Authorization: Basic YTpi", "Authorization: token",
 "Authorization: ", "Authorization: Bearerx", "Cookie: token=x",
 "X: y"]
--- error_code eval
[(401) x 7]
--- response_headers eval
[("Content-Type: application/problem+json
WWW-Authenticate: Bearer") x 7]
--- response_body_like eval
[('\A\{"type":"http://localhost/errors/unauthorized",') x 7]
--- no_error_log
[error]


=== TEST 6: tokens: one was sent, and is not known
--- config
    location /agents {
        agents_api;
        agents_auth token;
    }
--- request eval
[("GET /agents/conversations?access_token=x") x 7,
 "POST /agents/conversations\n{}", "POST /agents/conversations/x/runs\n{}"]
--- more_headers eval
["Authorization: Bearer x", "Authorization: bearer x",
 "Authorization: BEARER  x", "Authorization: Bearer",
 "Authorization: Bearer x y", "Authorization: Bearer " . "x" x 900,
 "Authorization: Bearer \xff\x01", "Authorization: Bearer x",
 "Authorization: Bearer x"]
--- error_code eval
[(401) x 9]
--- response_headers eval
[("Content-Type: application/problem+json
WWW-Authenticate: Bearer error=\"invalid_token\"") x 9]
--- response_body_like eval
[('\A\{"type":"http://localhost/errors/invalid-token","title":"Invalid Token","status":401,') x 9]
--- no_error_log
[error]


=== TEST 7: a refusal comes before the body's, and says nothing of it
--- request eval
["POST /agents/conversations?c=acme\nno json",
 "POST /agents/conversations?c=acme&u=ann&p=read\nno json",
 "POST /agents/conversations/x/runs?c=acme&u=ann&p=read\nno json"]
--- more_headers
Content-Type: text/plain
--- error_code eval
[401, 403, 403]
--- response_body_unlike eval
[('JSON|media') x 3]
--- no_error_log
[error]
