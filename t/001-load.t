# The module loaded and not used changes nothing.

use Test::Nginx::Socket 'no_plan';

no_root_location();
run_tests();

__DATA__

=== TEST 1: loaded and not used, nginx serves as ever
--- config
    location /plain { return 200 "plain\n"; }
--- request
GET /plain
--- response_body
plain
--- response_headers
Content-Type: text/plain
--- no_error_log
[error]
[alert]
agents



=== TEST 2: a path of the API is a plain 404 where no location serves it
--- config
    location /plain { return 200 "plain\n"; }
--- unrecorded
--- request
GET /agents/conversations
--- error_code: 404
--- response_headers
Content-Type: text/html
--- response_body_like: nginx



=== TEST 3: a body and an error page pass untouched
--- config
    error_page 404 /missing;
    location /missing { internal; return 200 "nothing here\n"; }
    location /missed { return 404; }
--- request eval
["POST /missed
{}", "GET /missed"]
--- error_code eval
[404, 404]
--- response_body eval
["nothing here\n", "nothing here\n"]



=== TEST 4: subrequests of others pass untouched
--- config
    location = /auth { internal; return 204; }
    location /guarded { auth_request /auth; return 200 "in\n"; }
    location /mirrored { mirror /mirror; proxy_pass http://127.0.0.1:$server_port/plain; }
    location = /mirror { internal; return 204; }
    location /plain { return 200 "plain\n"; }
--- pipelined_requests eval
["GET /plain", "GET /mirrored"]
--- error_code eval
[200, 200]
--- response_body eval
["plain\n", "plain\n"]
--- no_error_log
[error]
