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
[qr/log_id: [0-9a-f]{32}/]



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
--- response_body_like: \A\{"type":"http://localhost/errors/version-conflict","slug":"version-conflict","title":"Version Conflict","status":409,"incident":null,"cause":"[^"]+","recovery":\["


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
