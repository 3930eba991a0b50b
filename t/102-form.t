# How a body arrives: its type, its length, its end.

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

=== TEST 1: no JSON by its type: 415
--- request eval
[(map { "POST $_?c=acme&u=form&p=write\n{}" }
  ('/agents/conversations') x 9, '/agents/conversations/x/runs')]
--- more_headers eval
["Content-Type: text/plain", "Content-Type: application/x-www-form-urlencoded",
 "Content-Type: application/jsonp", "Content-Type: application/json-patch",
 "Content-Type: application/problem+json", "Content-Type: text/json",
 "Content-Type: application", "Content-Type: multipart/form-data; boundary=x",
 "X: no type at all", "Content-Type: text/plain"]
--- error_code eval
[(415) x 10]
--- response_headers eval
[("Content-Type: application/problem+json") x 10]
--- response_body_like eval
[('\A\{"type":"http://localhost/errors/unsupported-media-type","title":"Unsupported Media Type","status":415,') x 10]
--- no_error_log
[error]


=== TEST 2: JSON, in any case and with any parameters
--- request eval
[("POST /agents/conversations?c=acme&u=form&p=write\n{}") x 6]
--- more_headers eval
["Content-Type: application/json", "Content-Type: Application/JSON",
 "Content-Type: application/json; charset=utf-8",
 "Content-Type: application/json;charset=latin1;x=y",
 "Content-Type: application/json ; charset=\"utf-8\"",
 "Content-Type: application/json;"]
--- error_code eval
[(400) x 6]
--- response_headers eval
[("Content-Type: application/problem+json") x 6]
--- response_body_like eval
[('/errors/invalid-request".*"errors":\[\{"pointer":"/defaults","code":"invalid-request","detail":"[^"]*required') x 6]
--- no_error_log
[error]


=== TEST 3: a body too large: 413, by its length and by its chunks
--- config
    location /agents {
        agents_api;
        agents_auth variables $arg_c $arg_u $arg_p;
        client_max_body_size 1k;
    }
--- request eval
["POST /agents/conversations?c=acme&u=form&p=write\n" . "x" x 1025,
 "POST /agents/conversations?c=acme&u=form&p=write\n401\r\n"
 . "x" x 1025 . "\r\n0\r\n\r\n", "PUT /agents/nothing\n" . "x" x 1025,
 "POST /agents/conversations?c=acme&u=form&p=write\n{"
 . " " x 1022 . "}"]
--- more_headers eval
["Content-Type: application/json",
 "Content-Type: application/json\nTransfer-Encoding: chunked",
 "X: y", "Content-Type: application/json"]
--- error_code eval
[413, 413, 413, 400]
--- response_headers eval
[("Content-Type: application/problem+json") x 4]
--- response_body_like eval
[('\A\{"type":"http://localhost/errors/payload-too-large","title":"Payload Too Large","status":413,') x 3, '/errors/invalid-request']


=== TEST 4: a body in pieces, and in chunks
--- request eval
[["POST /agents/conversations?c=acme&u=form&p=write\n{\"de",
  {value => "faults\"", delay_before => 0.05},
  {value => ": 1}", delay_before => 0.05}],
 "POST /agents/conversations?c=acme&u=form&p=write\n5\r\n{\"def\r\n"
 . "a;x=y\r\naults\": 1}\r\n0\r\nX: y\r\n\r\n"]
--- more_headers eval
["Content-Type: application/json",
 "Content-Type: application/json\nTransfer-Encoding: chunked"]
--- error_code eval
[400, 400]
--- response_body_like eval
[('"errors":\[\{"pointer":"/defaults","code":"invalid-request","detail":"must be an object') x 2]
--- no_error_log
[error]


=== TEST 5: a body that goes to a file
--- config
    location /agents {
        agents_api;
        agents_auth variables $arg_c $arg_u $arg_p;
        client_body_buffer_size 1k;
        client_body_in_file_only clean;
    }
--- request eval
["POST /agents/conversations?c=acme&u=form&p=write\n{\"x\": \"" . "x" x 50000
 . "\"}"]
--- more_headers
Content-Type: application/json
--- error_code: 400
--- response_body_like: "pointer":"/x"
--- no_error_log
[error]


=== TEST 6: no body at all
--- request eval
["POST /agents/conversations?c=acme&u=form&p=write",
 "POST /agents/conversations?c=acme&u=form&p=write",
 "POST /agents/conversations/x/runs?c=acme&u=form&p=write"]
--- more_headers eval
["Content-Type: application/json\nContent-Length: 0",
 "Content-Type: application/json",
 "Content-Type: application/json\nContent-Length: 0"]
--- error_code eval
[400, 400, 400]
--- response_body_like eval
[('"errors":\[\{"pointer":"","code":"invalid-request","detail":"[^"]*line 1, column') x 3]
--- no_error_log
[error]


=== TEST 7: chunks that are none: nginx's own 400 is a problem too
--- request
POST /agents/conversations?c=acme&u=form&p=write
zz
--- more_headers
Content-Type: application/json
Transfer-Encoding: chunked
--- error_code: 400
--- response_headers
Content-Type: application/problem+json
--- response_body_like: \A\{"type":"http://localhost/errors/invalid-request","title":"Invalid Request","status":400,"detail":"[^"]+","instance":"/agents/conversations","log_id":"[0-9a-f]{32}"\}\z


=== TEST 8: a body that stops coming: 408
--- config
    location /agents {
        agents_api;
        agents_auth variables $arg_c $arg_u $arg_p;
        client_body_timeout 200ms;
    }
--- raw_request eval
"POST /agents/conversations?c=acme&u=form&p=write HTTP/1.1\r
Host: localhost\r
Content-Type: application/json\r
Content-Length: 100\r
\r
{"
--- error_code: 408
--- response_headers
Content-Type: application/problem+json
--- response_body_like: \A\{"type":"http://localhost/errors/request-timeout","title":"Request Timeout","status":408,
--- no_error_log
[error]


=== TEST 9: nothing was written by any of these
--- request
GET /agents/conversations?c=acme&u=form&p=read
--- response_body_like: "total_records":0,"total_pages":0,"records":\[\]
