# GET /agents/models: what the caller's company may name, in the order of the
# configuration.

use Test::Nginx::Socket 'no_plan';

add_block_preprocessor(sub {
    my ($block) = @_;
    $block->set_value('http_config', <<'CONF') if !defined $block->http_config;
    agents_store sqlite:$TEST_NGINX_SERVER_ROOT/logs/agents.db;
    agents_provider p { protocol openai; endpoint http://127.0.0.1:1/v1; }
    agents_data_plane f79cbdae-4848-47ca-95e8-69588364d185 {
        cluster shared max_inferences=4;
        cluster other;
        model b provider=p max_tokens=32000 id=secret title;
        model a provider=p max_tokens=100;
    }
    agents_data_plane 00000000-4848-47ca-95e8-69588364d185 {
        company acme zeta;
        cluster own;
        model c provider=p max_tokens=7;
        model b provider=p max_tokens=500;
    }
    agents_data_plane 11111111-4848-47ca-95e8-69588364d185 {
        company others;
        cluster theirs;
        model d provider=p max_tokens=8;
        model a provider=p max_tokens=9;
    }
CONF
    $block->set_value('config', <<'CONF');
    location /agents {
        agents_api;
        agents_auth variables $arg_c $arg_u $arg_p;
    }
CONF
});

no_root_location();
run_tests();

__DATA__

=== TEST 1: planes that are open to all, and the company's own
--- request
GET /agents/models?c=acme&u=ann&p=read
--- error_code: 200
--- response_headers
Content-Type: application/json
Cache-Control: private, no-cache
--- response_body chomp
{"models":[{"id":"b","max_tokens":500,"data_planes":[{"id":"f79cbdae-4848-47ca-95e8-69588364d185","clusters":["shared","other"]},{"id":"00000000-4848-47ca-95e8-69588364d185","clusters":["own"]}]},{"id":"a","max_tokens":100,"data_planes":[{"id":"f79cbdae-4848-47ca-95e8-69588364d185","clusters":["shared","other"]}]},{"id":"c","max_tokens":7,"data_planes":[{"id":"00000000-4848-47ca-95e8-69588364d185","clusters":["own"]}]}]}
--- no_error_log
[error]


=== TEST 2: of another company, and of one that has none of its own
--- request eval
["GET /agents/models?c=others&u=ann&p=read", "GET /agents/models?c=nobody&u=ann&p=read"]
--- error_code eval
[200, 200]
--- response_body eval
['{"models":[{"id":"b","max_tokens":32000,"data_planes":[{"id":"f79cbdae-4848-47ca-95e8-69588364d185","clusters":["shared","other"]}]},{"id":"a","max_tokens":9,"data_planes":[{"id":"f79cbdae-4848-47ca-95e8-69588364d185","clusters":["shared","other"]},{"id":"11111111-4848-47ca-95e8-69588364d185","clusters":["theirs"]}]},{"id":"d","max_tokens":8,"data_planes":[{"id":"11111111-4848-47ca-95e8-69588364d185","clusters":["theirs"]}]}]}',
 '{"models":[{"id":"b","max_tokens":32000,"data_planes":[{"id":"f79cbdae-4848-47ca-95e8-69588364d185","clusters":["shared","other"]}]},{"id":"a","max_tokens":100,"data_planes":[{"id":"f79cbdae-4848-47ca-95e8-69588364d185","clusters":["shared","other"]}]}]}']


=== TEST 3: HEAD, and who may not
--- request eval
["HEAD /agents/models?c=nobody&u=ann&p=read", "GET /agents/models",
 "GET /agents/models?c=acme&u=ann&p=write"]
--- error_code eval
[200, 401, 403]
--- response_headers_like eval
["Content-Length: 254", ("Content-Type: application/problem.json") x 2]


=== TEST 4: nothing to name, and no store that it would need
--- http_config
    agents_store sqlite:/nowhere/at/all/agents.db;
--- request
GET /agents/models?c=acme&u=ann&p=read
--- error_code: 200
--- response_body chomp
{"models":[]}
