# Refusals of nginx's own modules in front of the API are problems too.

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

=== TEST 1: allow and deny
--- config
    location /agents {
        agents_api;
        agents_auth variables $arg_c $arg_u $arg_p;
        deny all;
    }
--- request eval
["GET /agents/conversations?c=acme&u=ann&p=read",
 "POST /agents/conversations\nno json", "GET /agents/nothing",
 "OPTIONS /agents/conversations"]
--- error_code eval
[(403) x 4]
--- response_headers eval
[("Content-Type: application/problem+json\n!WWW-Authenticate") x 4]
--- response_body_like eval
[('\A\{"type":"http://localhost/errors/forbidden","title":"Forbidden","status":403,"detail":"[^"]+","instance":"/agents/[a-z]+","log_id":"[0-9a-f]{32}"\}\z') x 4]


=== TEST 2: auth_request that refuses
--- config
    location /agents {
        agents_api;
        agents_auth variables $arg_c $arg_u $arg_p;
        auth_request /auth;
    }
    location = /auth {
        internal;
        if ($http_x_verdict = 403) { return 403; }
        return 401;
    }
--- request eval
["GET /agents/conversations?c=acme&u=ann&p=read",
 "GET /agents/conversations?c=acme&u=ann&p=read",
 "POST /agents/conversations?c=acme&u=ann&p=write\nno json"]
--- more_headers eval
["X-Verdict: 401", "X-Verdict: 403", "X-Verdict: 401"]
--- error_code eval
[401, 403, 401]
--- response_headers eval
[("Content-Type: application/problem+json") x 3]
--- response_body_like eval
['\A\{"type":"http://localhost/errors/unauthorized"',
 '\A\{"type":"http://localhost/errors/forbidden"',
 '\A\{"type":"http://localhost/errors/unauthorized"']
--- no_error_log
[error]


=== TEST 3: auth_request's own words on a 401 pass
--- config
    location /agents {
        agents_api;
        agents_auth variables $arg_c $arg_u $arg_p;
        auth_request /auth;
    }
    location = /auth {
        internal;
        proxy_pass http://127.0.0.1:$server_port/idp;
    }
    location = /idp {
        add_header WWW-Authenticate 'Basic realm="x"' always;
        return 401;
    }
--- request
GET /agents/conversations
--- error_code: 401
--- response_headers
Content-Type: application/problem+json
WWW-Authenticate: Basic realm="x"


=== TEST 4: auth_request that fails
--- config
    location /agents {
        agents_api;
        agents_auth variables $arg_c $arg_u $arg_p;
        auth_request /auth;
    }
    location = /auth { internal; return 500; }
--- request
GET /agents/conversations
--- error_code: 500
--- response_headers
Content-Type: application/problem+json
--- response_body_like: \A\{"type":"http://localhost/errors/internal-error","title":"Internal Error","status":500,
--- error_log
auth request unexpected status


=== TEST 5: auth_request that names the caller
--- config
    location /agents {
        agents_api;
        agents_auth variables $company $user $permissions;
        auth_request /auth;
        auth_request_set $company $upstream_http_x_company;
        auth_request_set $user $upstream_http_x_user;
        auth_request_set $permissions $upstream_http_x_permissions;
        add_header X-Seen "$agents_company/$agents_user" always;
    }
    location = /auth {
        internal;
        proxy_pass http://127.0.0.1:$server_port/idp;
        proxy_pass_request_body off;
        proxy_set_header Content-Length "";
    }
    location = /idp {
        add_header X-Company acme;
        add_header X-User $http_x_who;
        add_header X-Permissions read;
        return 204;
    }
--- request eval
["GET /agents/conversations", "GET /agents/conversations",
 "POST /agents/conversations\n{}"]
--- more_headers eval
["X-Who: eve", "X-Other: y", "X-Who: eve\nContent-Type: application/json"]
--- error_code eval
[200, 401, 403]
--- response_headers eval
["X-Seen: acme/eve", "WWW-Authenticate: Bearer",
 "WWW-Authenticate: Bearer error=\"insufficient_scope\""]
--- no_error_log
[error]


=== TEST 6: limit_req
--- http_config
    limit_req_zone $server_name zone=r:1m rate=1r/m;
--- config
    location /agents {
        agents_api;
        agents_auth variables $arg_c $arg_u $arg_p;
        limit_req zone=r;
    }
--- request eval
[("GET /agents/conversations?c=acme&u=ann&p=read") x 3]
--- error_code eval
[200, 503, 503]
--- response_headers eval
["Content-Type: application/json",
 ("Content-Type: application/problem+json") x 2]
--- response_body_like eval
['total_records',
 ('\A\{"type":"http://localhost/errors/service-unavailable","title":"Service Unavailable","status":503,') x 2]


=== TEST 7: limit_req with a status of its own
--- http_config
    limit_req_zone $server_name zone=r:1m rate=1r/m;
--- config
    location /agents {
        agents_api;
        agents_auth variables $arg_c $arg_u $arg_p;
        limit_req zone=r;
        limit_req_status 429;
    }
--- request eval
[("GET /agents/conversations?c=acme&u=ann&p=read") x 2]
--- error_code eval
[200, 429]
--- response_body_like eval
['total_records', '\A\{"type":"http://localhost/errors/too-many-requests","title":"Too Many Requests","status":429,']


=== TEST 8: limit_except
--- config
    location /agents {
        agents_api;
        agents_auth variables $arg_c $arg_u $arg_p;
        limit_except GET { deny all; }
    }
--- request eval
["GET /agents/conversations?c=acme&u=ann&p=read",
 "POST /agents/conversations\n{}"]
--- error_code eval
[200, 403]
--- response_headers eval
["Content-Type: application/json", "Content-Type: application/problem+json"]


=== TEST 9: what return says
--- config
    location /agents {
        agents_api;
        agents_auth variables $arg_c $arg_u $arg_p;
        if ($arg_s = 411) { return 411; }
        if ($arg_s = 502) { return 502; }
        if ($arg_s = 504) { return 504; }
        if ($arg_s = 418) { return 418; }
        if ($arg_s = 507) { return 507; }
        if ($arg_s = 302) { return 302 /else; }
    }
--- unrecorded
--- request eval
[map { "GET /agents/conversations?s=$_" } 411, 502, 504, 418, 507, 302]
--- error_code eval
[411, 502, 504, 418, 507, 302]
--- response_headers eval
[("Content-Type: application/problem+json") x 5, "Content-Type: text/html"]
--- response_body_like eval
['\A\{"type":"http://localhost/errors/length-required","title":"Length Required","status":411,',
 '\A\{"type":"http://localhost/errors/bad-gateway","title":"Bad Gateway","status":502,',
 '\A\{"type":"http://localhost/errors/gateway-timeout","title":"Gateway Timeout","status":504,',
 '"status":418,', '"status":507,', '302 Found']


=== TEST 10: gzip and ranges leave a problem whole
--- http_config
    gzip on;
    gzip_types application/json application/problem+json;
    gzip_min_length 1;
--- config
    location /agents {
        agents_api;
        agents_auth variables $arg_c $arg_u $arg_p;
        deny all;
    }
--- request eval
["GET /agents/conversations", "HEAD /agents/conversations"]
--- more_headers eval
["Range: bytes=0-3", "Range: bytes=0-3"]
--- error_code eval
[403, 403]
--- response_body_like eval
['\A\{"type":.*\}\z', '\A\z']


=== TEST 11: HTTP/1.0 and 0.9
--- raw_request eval
["GET /agents/nothing HTTP/1.0\r\n\r\n"]
--- error_code: 404
--- response_headers
Content-Type: application/problem+json
--- response_body_like: \A\{"type":"http://localhost/errors/not-found"



=== TEST 12: the API goes on within "if" and "limit_except"
--- config
    location /agents {
        agents_api;
        agents_auth variables $arg_c $arg_u $arg_p;
        set $debug 0;
        if ($arg_debug) { set $debug 1; }
        limit_except GET { allow 127.0.0.1; deny all; }
        add_header X-Debug $debug always;
    }
--- request eval
["GET /agents/conversations?c=acme&u=if&p=read&debug=1",
 "GET /agents/conversations?debug=1", "GET /agents/nothing?debug=1",
 "POST /agents/conversations?c=acme&u=if&p=write\n{}",
 "POST /agents/conversations?c=acme&u=if&p=write&debug=1\n{}"]
--- more_headers
Content-Type: application/json
--- error_code eval
[200, 401, 404, 400, 400]
--- response_headers eval
["Content-Type: application/json",
 ("Content-Type: application/problem+json") x 4]
--- response_body_like eval
['total_records', '/errors/unauthorized', '/errors/not-found',
 ('"pointer":"/defaults"') x 2]
--- no_error_log
[error]


=== TEST 13: an error_page of the server stays out
--- config
    error_page 403 404 500 502 503 504 /50x.html;
    error_page 400 /errors/invalid-request;
    location = /50x.html { return 200 "a page for people"; }
    location /agents {
        agents_api;
        agents_auth variables $arg_c $arg_u $arg_p;
        if ($arg_s = 503) { return 503; }
        if ($arg_s = 403) { return 403; }
    }
    location /errors { agents_errors; }
    location / { return 404; }
--- request eval
["GET /agents/conversations?s=503", "GET /agents/conversations?s=403",
 "GET /agents/nothing",
 "POST /agents/conversations?c=acme&u=page&p=write\nzz", "GET /else"]
--- more_headers eval
["X: y", "X: y", "X: y",
 "Content-Type: application/json\nTransfer-Encoding: chunked", "X: y"]
--- error_code eval
[503, 403, 404, 400, 404]
--- response_body_like eval
['\A\{"type":"http://localhost/errors/service-unavailable"',
 '\A\{"type":"http://localhost/errors/forbidden"',
 '\A\{"type":"http://localhost/errors/not-found"',
 '\A\{"type":"http://localhost/errors/invalid-request".*"instance":"/agents/conversations"',
 '\Aa page for people\z']


=== TEST 14: one of the location itself is for what nginx refuses there
--- config
    location = /busy { return 200 "{\"busy\": true}"; }
    location /agents {
        error_page 503 /busy;
        agents_api;
        agents_auth variables $arg_c $arg_u $arg_p;
        if ($arg_s = 503) { return 503; }
        if ($arg_s = 403) { return 403; }
    }
    location /agents/2 {
        agents_api two;
        agents_auth variables $arg_c $arg_u $arg_p;
        error_page 403 =200 /busy;
        deny all;
    }
--- unrecorded
--- request eval
["GET /agents/conversations?s=503", "GET /agents/conversations?s=403",
 "GET /agents/nothing", "GET /agents/2/nothing"]
--- error_code eval
[503, 403, 404, 200]
--- response_body_like eval
['\A\{"busy": true\}\z', '/errors/forbidden"', '/errors/not-found"',
 '\A\{"busy": true\}\z']


=== TEST 15: auth_basic, and its own words
--- config
    location /agents {
        agents_api;
        agents_auth variables acme $remote_user read;
        auth_basic "the API";
        auth_basic_user_file $TEST_NGINX_SERVER_ROOT/html/users;
    }
--- user_files
>>> users
ann:{PLAIN}secret
--- request eval
[("GET /agents/conversations") x 3, "HEAD /agents/conversations"]
--- more_headers eval
["X: y", "Authorization: Basic YW5uOndyb25n",
 "Authorization: Basic YW5uOnNlY3JldA==", "X: y"]
--- error_code eval
[401, 401, 200, 401]
--- response_headers eval
[("Content-Type: application/problem+json\nWWW-Authenticate: Basic realm=\"the API\"") x 2,
 "Content-Type: application/json",
 "Content-Type: application/problem+json\nWWW-Authenticate: Basic realm=\"the API\""]
--- response_body_like eval
[('\A\{"type":"http://localhost/errors/unauthorized","title":"Unauthorized","status":401,') x 2,
 'total_records', '\A\z']


=== TEST 16: lines of nginx's own in the error log carry the log_id
--- config
    location /agents {
        agents_api;
        agents_auth variables $arg_c $arg_u $arg_p;
        deny all;
    }
--- request
GET /agents/conversations
--- error_code: 403
--- response_body_like: "log_id":"[0-9a-f]{32}"
--- error_log eval
[qr/access forbidden by rule, client: [0-9.]+, log_id: [0-9a-f]{32}, server: /]


=== TEST 17: limit_conn
--- http_config
    limit_conn_zone $server_name zone=c:1m;
--- config
    location /agents {
        agents_api;
        agents_auth variables $arg_c $arg_u $arg_p;
        limit_conn c 1;
    }
    location = /outer {
        limit_conn c 1;
        proxy_pass http://127.0.0.1:$server_port/agents/conversations;
        proxy_set_header Host localhost;
    }
--- request
GET /outer
--- error_code: 503
--- response_headers
Content-Type: application/problem+json
--- response_body_like: \A\{"type":"http://localhost/errors/service-unavailable","title":"Service Unavailable","status":503,
--- error_log eval
[qr/limiting connections by zone "c", client: [0-9.]+, log_id: [0-9a-f]{32}/]


=== TEST 18: any status that nginx knows of, with GET and HEAD
--- config
    location /agents {
        agents_api;
        agents_auth variables $arg_c $arg_u $arg_p;
        if ($arg_s = 400) { return 400; }
        if ($arg_s = 402) { return 402; }
        if ($arg_s = 406) { return 406; }
        if ($arg_s = 409) { return 409; }
        if ($arg_s = 410) { return 410; }
        if ($arg_s = 412) { return 412; }
        if ($arg_s = 413) { return 413; }
        if ($arg_s = 414) { return 414; }
        if ($arg_s = 415) { return 415; }
        if ($arg_s = 416) { return 416; }
        if ($arg_s = 421) { return 421; }
        if ($arg_s = 422) { return 422; }
        if ($arg_s = 429) { return 429; }
        if ($arg_s = 500) { return 500; }
        if ($arg_s = 501) { return 501; }
        if ($arg_s = 503) { return 503 "a text"; }
        if ($arg_s = 505) { return 505; }
        if ($arg_s = 507) { return 507; }
    }
--- unrecorded
--- request eval
[(map { "GET /agents/conversations?s=$_" } 400, 402, 406, 409, 410, 412,
  413, 414, 415, 416, 421, 422, 429, 500, 501, 503, 505, 507),
 (map { "HEAD /agents/conversations?s=$_" } 400, 413, 500, 503)]
--- error_code eval
[400, 402, 406, 409, 410, 412, 413, 414, 415, 416, 421, 422, 429, 500, 501,
 503, 505, 507, 400, 413, 500, 503]
--- response_headers eval
[("Content-Type: application/problem+json") x 22]
--- response_headers_like eval
[("Content-Length: [1-9][0-9]+") x 22]
--- response_body_like eval
[(map { "\\A\\{\"type\":\"http://localhost/errors/[a-z-]+\",\"title\":\"[A-Za-z ]+\",\"status\":$_,\"detail\":\"[^\"]+\",\"instance\":\"/agents/conversations\",\"log_id\":\"[0-9a-f]{32}\"\\}\\z" }
  400, 402, 406, 409, 410, 412, 413, 414, 415, 416, 421, 422, 429, 500,
  501, 503, 505, 507), ('\A\z') x 4]
