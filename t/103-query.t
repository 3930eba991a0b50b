# Query parameters: their ranges, and those that are not known.

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

=== TEST 1: page and per_page out of range
--- request eval
[map { "GET /agents/conversations?c=acme&u=query&p=read&$_" }
 'page=0', 'page=-1', 'page=', 'page', 'page=x', 'page=1x', 'page=1.0',
 'page=0x1', 'page=+1', 'page=99999999999999999999', 'page=%31%00',
 'per_page=0', 'per_page=1001', 'per_page=', 'per_page=all', 'per_page=1e3',
 'page%00x=1&page=0']
--- error_code eval
[(400) x 17]
--- response_headers eval
[("Content-Type: application/problem+json") x 17]
--- response_body_like eval
[('\A\{"type":"http://localhost/errors/invalid-request","title":"Invalid Request","status":400,.*"errors":\[\{.*[^_]page.{1,3} must be') x 11,
 ('/errors/invalid-request".*"errors":\[\{.*per_page.*from 1 to 1000') x 5,
 '"errors":\[\{.*[^_]page.{1,3} must be']
--- no_error_log
[error]


=== TEST 2: both at once
--- request
GET /agents/conversations?c=acme&u=query&p=read&page=0&per_page=0
--- error_code: 400
--- response_body_like: "errors":\[\{[^{]*page[^{]*\},\{[^{]*per_page[^{]*\}\]


=== TEST 3: since and limit out of range, even where there is no conversation
--- request eval
[map { "GET /agents/conversations/x/messages?c=acme&u=query&p=read&$_" }
 'since=-1', 'since=', 'since=a', 'since=1.5', 'since=99999999999999999999',
 'limit=0', 'limit=1001', 'limit=', 'limit=ten']
--- error_code eval
[(400) x 9]
--- response_body_like eval
[('"errors":\[\{.*since.*from 0') x 5, ('"errors":\[\{.*limit.*from 1 to 1000') x 4]
--- no_error_log
[error]


=== TEST 4: in range, and unknown ones
--- request eval
[map { "GET /agents/conversations?c=acme&u=query&p=read&$_" }
 'page=1', 'page=0001', 'per_page=1', 'per_page=1000', 'Page=0', 'pages=0',
 'since=-1', 'limit=x', '&&=&page=1', '%zz=%', 'page%00=0']
--- error_code eval
[(200) x 11]
--- response_body_like eval
[('\A\{"prev_page":null,"current_page":1,"next_page":null,"total_records":0,"total_pages":0,"records":\[\]\}\z') x 11]
--- no_error_log
[error]


=== TEST 5: other paths have none
--- request eval
["GET /agents/conversations/x?c=acme&u=query&p=read&page=0",
 "GET /agents/runs/x?c=acme&u=query&p=read&per_page=0"]
--- error_code eval
[404, 404]


=== TEST 6: a parameter that is given twice, however it is written
--- request eval
[map { "GET /agents/conversations?c=acme&u=query&p=read&$_" }
 'page=1&page=1', 'page=2&x=1&page=3&page=4', 'per_page=5&p%65r_page=5',
 'page=1&page=x']
--- error_code eval
[(400) x 4]
--- response_body_like eval
['"errors":\[\{[^{}]*[^_]page.{1,3} must be given once"\}\]',
 '"errors":\[\{[^{}]*[^_]page.{1,3} must be given once"\}\]',
 '"errors":\[\{[^{}]*per_page.{1,3} must be given once"\}\]',
 '"errors":\[\{[^{}]*must be given once"\},\{[^{}]*must be an integer']


=== TEST 7: the same parameters of the runs of a conversation
--- request eval
[map { "GET /agents/conversations/x/runs?c=acme&u=query&p=read&$_" }
 'page=0', 'per_page=1001', 'page=1&page=1', 'per_page=1000&page=1000000000000']
--- error_code eval
[400, 400, 400, 404]
--- no_error_log
[error]
