# GET /agents/openapi.json: the file, for whoever asks.

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
CONF
});

no_root_location();
run_tests();

__DATA__

=== TEST 1: the file, byte for byte, with and without a caller
--- request eval
["GET /agents/openapi.json", "GET /agents/openapi.json?c=acme&u=ann&p=none",
 "GET /agents/%6Fpenapi.json"]
--- more_headers eval
["X: y", "X: y", "Authorization: Bearer nobody"]
--- response_headers eval
[("Content-Type: application/json\n!Cache-Control\n!WWW-Authenticate") x 3]
--- response_headers_like eval
[('ETag: "[0-9a-f]{32}"') x 3]
--- response_body_filters eval
sub {
    open my $in, '<:raw', 'docs/openapi.json' or die $!;
    my $file = do { local $/; <$in> };
    return $_[0] eq $file ? 'the same' : 'another';
}
--- response_body eval
[("the same") x 3]
--- no_error_log
[error]


=== TEST 2: HEAD, OPTIONS, and other methods
--- request eval
["HEAD /agents/openapi.json", "OPTIONS /agents/openapi.json",
 "POST /agents/openapi.json\n{}", "DELETE /agents/openapi.json"]
--- error_code eval
[200, 204, 405, 405]
--- response_headers eval
["Content-Type: application/json", ("Allow: GET, HEAD, OPTIONS") x 3]
--- response_body_like eval
['\A\z', '\A\z', ('"status":405') x 2]
--- no_error_log
[error]


=== TEST 3: a client that has it
--- request eval
[("GET /agents/openapi.json") x 4]
--- more_headers eval
["If-None-Match: *", "If-None-Match: \"x\"", "If-Match: *",
 "If-Match: \"x\""]
--- error_code eval
[304, 200, 200, 412]
--- response_body_like eval
['\A\z', '"openapi": "3.1', '"openapi": "3.1', '"status":412']
--- no_error_log
[error]


=== TEST 4: it has no other name
--- request eval
[map { "GET $_" } '/agents/openapi.json/', '/agents//openapi.json',
 '/agents/openapi', '/agents/openapi.jsonx', '/agents/OpenAPI.json']
--- error_code eval
[(404) x 5]


=== TEST 5: the operator's rules go before
--- config
    location /agents {
        agents_api;
        agents_auth token;
        deny all;
    }
--- request
GET /agents/openapi.json
--- error_code: 403
--- response_headers
Content-Type: application/problem+json
