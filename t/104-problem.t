# What a problem looks like, and the pages that its type names.

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

=== TEST 1: all of a problem, and no more
--- request eval
["GET /agents/nothing?secret=1", "GET /agents/%22x%22", "GET /agents/conversations"]
--- error_code eval
[404, 404, 401]
--- response_body_like eval
['\A\{"type":"http://localhost/errors/not-found","title":"Not Found","status":404,"detail":"[^"]+","instance":"/agents/nothing","log_id":"[0-9a-f]{32}"\}\z',
 '"instance":"/agents/%22x%22","log_id":"',
 '\A\{"type":"http://localhost/errors/unauthorized","title":"Unauthorized","status":401,"detail":"[^"]+","instance":"/agents/conversations","log_id":"[0-9a-f]{32}"\}\z']


=== TEST 2: log_id is nginx's request id
--- config
    location /agents {
        agents_api;
        agents_auth variables $arg_c $arg_u $arg_p;
        add_header X-Id $request_id always;
    }
--- request eval
["GET /agents/nothing", "GET /agents/conversations",
 "GET /agents/runs/x?c=acme&u=ann&p=read",
 "GET /agents/conversations?c=acme&u=ann&p=read&page=0"]
--- error_code eval
[404, 401, 404, 400]
--- response_headers_like eval
[("X-Id: [0-9a-f]{32}") x 4]
--- response_body_filters eval
sub { my $id = $_[0] =~ /"log_id":"([0-9a-f]{32})"/ ? $1 : 'none';
      $main::ids{$id}++ ? "again $id" : 'an id' }
--- response_body eval
[("an id") x 4]


=== TEST 3: the slug is a variable, the id is in the error log
--- config
    location /agents {
        agents_api;
        agents_auth variables $arg_c $arg_u $arg_p;
        add_header X-Error $agents_error always;
    }
--- request
GET /agents/conversations?c=acme&u=ann&p=read&page=0
--- error_code: 400
--- response_headers
X-Error: invalid-request
--- error_log eval
[qr/answered 400 "invalid-request", .*, client: .*, log_id: [0-9a-f]{32}, .*, request: "GET/]


=== TEST 4: agents_docs_url is the base of type
--- http_config
    agents_docs_url https://docs.example.com/problems/;
--- request eval
["GET /agents/nothing", "GET /agents/conversations"]
--- error_code eval
[404, 401]
--- response_body_like eval
['\A\{"type":"https://docs.example.com/problems/not-found"',
 '\A\{"type":"https://docs.example.com/problems/unauthorized"']


=== TEST 5: without it, type names the host that was asked, also in an old protocol
--- request eval
["GET /agents/a", "GET /agents/b HTTP/1.0"]
--- more_headers eval
["Host: api.example.com:8080", "X: y"]
--- error_code eval
[404, 404]
--- response_body_like eval
['\A\{"type":"http://api.example.com:8080/errors/not-found"',
 '\A\{"type":"http://localhost/errors/not-found"']


=== TEST 6: the catalog: the index, for people and for programs
--- request eval
[("GET /errors") x 4, "GET /errors/", "HEAD /errors"]
--- more_headers eval
["X: y", "Accept: application/json", "Accept: text/html,*/*;q=0.8",
 "Accept: text/html;q=0.5, application/json", "X: y", "X: y"]
--- response_headers eval
["Content-Type: text/html; charset=utf-8\nVary: Accept",
 "Content-Type: application/json\nVary: Accept",
 "Content-Type: text/html; charset=utf-8",
 "Content-Type: application/json",
 "Content-Type: text/html; charset=utf-8",
 "Content-Type: text/html; charset=utf-8"]
--- response_body_like eval
['href="\./errors/version-conflict".*AgentLoopCancelled',
 '\A\{"errors":\[\{"type":"http://localhost/errors/[a-z-]+","slug":".*"slug":"version-conflict"',
 '<html', '\A\{"errors":', 'href="\./version-conflict"', '\A\z']
--- no_error_log
[error]


=== TEST 7: the catalog: each page that the API's reference names
--- request eval
[map { "GET /errors/$_" } qw(version-conflict invalid-tool-alias
 invalid-caller-tool-name tool-name-too-long max-iterations-exceeded
 schema-decode-failed cancelled)]
--- response_headers eval
[("Content-Type: text/html; charset=utf-8") x 7]
--- response_body_like eval
['What happened.*What to do.*', ('<h1>') x 3, 'AgentLoopMaxIterationsExceeded',
 'AgentLoopSchemaDecodeFailed', 'AgentLoopCancelled']
--- no_error_log
[error]


=== TEST 8: the catalog: a page as JSON
--- request
GET /errors/version-conflict
--- more_headers
Accept: application/json
--- response_headers
Content-Type: application/json
--- response_body_like: \A\{"type":"http://localhost/errors/version-conflict","slug":"version-conflict","title":"Version Conflict","status":409,"incident":null,"cause":"[^"]+","recovery":\["[^]]+"\],"example":\{"problem":\{"type":"http://localhost/errors/version-conflict","title":"Version Conflict","status":409,"detail":"[^"]+","instance":"/agents/conversations/[0-9a-f-]{36}/runs","log_id":"[0-9a-f]{32}","current_version":4,"active_run_id":"[0-9a-f-]{36}"\},"error":null\}\}\z


=== TEST 9: the catalog: what it has not
--- request eval
["GET /errors/nothing", "GET /errors/version-conflict/", "GET /errorsx",
 "GET /errors//", "GET /errors/Version-Conflict"]
--- error_code eval
[404, 404, 404, 200, 404]
--- response_headers eval
[("Content-Type: application/problem+json") x 3,
 "Content-Type: text/html; charset=utf-8",
 "Content-Type: application/problem+json"]


=== TEST 10: the catalog: methods
--- request eval
["POST /errors\n{}", "DELETE /errors/cancelled", "OPTIONS /errors"]
--- error_code eval
[405, 405, 204]
--- response_headers eval
[("Content-Type: application/problem+json\nAllow: GET, HEAD, OPTIONS") x 2,
 "Allow: GET, HEAD, OPTIONS"]


=== TEST 11: the catalog: what both surfaces show, by example
--- request eval
["GET /errors/invalid-tool-alias", "GET /errors/cancelled",
 "GET /errors/unknown-tool-choice-name", "GET /errors/unknown-tool-choice-name"]
--- more_headers eval
["Accept: application/json", "Accept: application/json",
 "Accept: application/json", "Accept: text/html"]
--- response_body_like eval
['"detail":"/defaults/mcp_servers/0/alias must be [^"]+","instance":"/agents/conversations","log_id":"[0-9a-f]{32}","errors":\[\{"pointer":"/defaults/mcp_servers/0/alias","code":"invalid-tool-alias","detail":"must be [^"]+"\}\]\},"error":null\}\}\z',
 '"status":null,"incident":"AgentLoopCancelled",.*"example":\{"problem":null,"error":\{"type":"AgentLoopCancelled","title":"Cancelled","message":"[^"]+","docs_url":"http://localhost/errors/cancelled"\}\}\}\z',
 '"example":\{"problem":\{"type":".*"errors":\[\{"pointer":"/tool_choice/name".*"error":\{"type":"AgentLoopUnknownToolChoiceName","title":"Unknown Tool Choice Name",',
 '<pre>\{\n  &quot;type&quot;: &quot;http://localhost/errors/unknown-tool-choice-name&quot;.*<pre>\{\n  &quot;type&quot;: &quot;AgentLoopUnknownToolChoiceName&quot;']
--- no_error_log
[error]


=== TEST 12: the catalog: the titles that the API's reference uses
--- request eval
[map { "GET /errors/$_" } qw(unknown-tool-choice-name
 unknown-tool-choice-mcp-alias mcp-discovery-failed tool-name-too-long
 unknown-tool-use-id not-a-client-tool-call incomplete-tool-outputs)]
--- more_headers
Accept: application/json
--- response_body_like eval
[map { "\"title\":\"$_\"" } 'Unknown Tool Choice Name',
 'Unknown Tool Choice MCP Alias', 'MCP Discovery Failed',
 'Tool wire name too long', 'Unknown tool_use_id', 'Not a client tool call',
 'Incomplete tool outputs']


=== TEST 13: the catalog: nginx's own errors in its location are problems too
--- config
    location /errors {
        agents_errors;
        client_max_body_size 1;
        if ($arg_s = 503) { return 503; }
        if ($arg_seen) { set $seen 1; }
    }
    location /errors/private { agents_errors; deny all; }
--- request eval
["POST /errors\nxx", "GET /errors?s=503", "GET /errors/private/cancelled",
 "GET /errors/cancelled?seen=1", "GET /errors/nothing?seen=1"]
--- error_code eval
[413, 503, 403, 200, 404]
--- response_headers eval
[("Content-Type: application/problem+json") x 3,
 "Content-Type: text/html; charset=utf-8",
 "Content-Type: application/problem+json"]
--- response_body_like eval
['/errors/payload-too-large","title":"Payload Too Large","status":413,',
 '/errors/service-unavailable","title":"Service Unavailable","status":503,',
 '/errors/forbidden","title":"Forbidden","status":403,', 'AgentLoopCancelled',
 '/errors/not-found"']


=== TEST 14: what nginx refuses before a location is chosen, with error_page
--- config
    error_page 400 414 494 /errors/invalid-request;
    error_page 405         /errors/method-not-allowed;
    error_page 404         /errors/not-found;
    large_client_header_buffers 2 1k;
    location /agents {
        agents_api;
        agents_auth variables $arg_c $arg_u $arg_p;
    }
    location /errors { agents_errors; }
--- request eval
["GET /agents/runs/x\nno body", "GET /agents/" . "x" x 2000,
 "GET /agents/runs/x", "TRACE /agents/runs/x", "GET /no/such/page?x=1",
 "GET /no/such/page", "HEAD /no/such/page"]
--- more_headers eval
["Content-Length: x", "X: y", "X: " . "y" x 2000, "X: y", "X: y",
 "Accept: text/html,application/json;q=0.9", "Accept: application/json"]
--- error_code eval
[400, 414, 400, 405, 404, 404, 404]
--- response_headers eval
[("Content-Type: application/problem+json") x 5,
 "Content-Type: text/html; charset=utf-8",
 "Content-Type: application/problem+json"]
--- response_body_like eval
['\A\{"type":"http://localhost/errors/invalid-request","title":"Invalid Request","status":400,"detail":"[^"]+","instance":"/agents/runs/x","log_id":"[0-9a-f]{32}"\}\z',
 '/errors/invalid-request","title":"Invalid Request","status":414,',
 '/errors/invalid-request","title":"Invalid Request","status":400,',
 '/errors/method-not-allowed","title":"Method Not Allowed","status":405,.*"instance":"/agents/runs/x"',
 '/errors/not-found","title":"Not Found","status":404,.*"instance":"/no/such/page"',
 '<h1>Not Found</h1>', '\A\z']
