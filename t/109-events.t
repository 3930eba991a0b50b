# GET /agents/runs/{id}/events, as far as a single request goes.

use Test::Nginx::Socket 'no_plan';

# the caller is named by the request: c(ompany), u(ser) and p(ermissions)
add_block_preprocessor(sub {
    my ($block) = @_;
    $block->set_value('http_config', <<'CONF') if !defined $block->http_config;
    agents_store sqlite:$TEST_NGINX_SERVER_ROOT/logs/agents.db;
    agents_provider p { protocol openai; endpoint http://127.0.0.1:1/v1; }
    agents_data_plane f79cbdae-4848-47ca-95e8-69588364d185 {
        cluster shared;
        model m provider=p max_tokens=32000;
    }
CONF
    $block->set_value('config', <<'CONF');
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

=== TEST 1: its methods, and who may not
--- request eval
["OPTIONS /agents/runs/x/events", "POST /agents/runs/x/events?c=a&u=b&p=write\n{}",
 "DELETE /agents/runs/x/events", "GET /agents/runs/x/events",
 "GET /agents/runs/x/events?c=a&u=b&p=write"]
--- error_code eval
[204, 405, 405, 401, 403]
--- response_headers eval
[("Allow: GET, HEAD, OPTIONS") x 3, "WWW-Authenticate: Bearer",
 "Content-Type: application/problem+json"]
--- no_error_log
[error]


=== TEST 2: what is no run of the caller's
--- request eval
["GET /agents/runs/x/events?c=a&u=b&p=read",
 "GET /agents/runs/01890000-0000-7000-8000-000000000000/events?c=a&u=b&p=read",
 "GET /agents/runs/01890000-0000-7000-8000-000000000000/%65vents?c=a&u=b&p=read",
 "HEAD /agents/runs/x/events?c=a&u=b&p=read"]
--- more_headers
Accept: text/event-stream
Last-Event-ID: 3.0.1.1.000000000000
--- error_code eval
[404, 404, 404, 404]
--- response_headers eval
[("Content-Type: application/problem+json\nCache-Control: private, no-cache\n!X-Accel-Buffering") x 4]
--- response_body_like eval
[('"detail":"There is no such run\."') x 3, '\A\z']
--- no_error_log
[error]


=== TEST 3: paths that are none
--- request eval
[map { "GET $_?c=a&u=b&p=read" } '/agents/runs/x/events/', '/agents/runs/x/event',
 '/agents/runs/x//events', '/agents/runs//events', '/agents/runs/x/events/1']
--- error_code eval
[(404) x 5]
--- no_error_log
[error]


=== TEST 4: without a store it is a 503
--- http_config
    agents_store sqlite:$TEST_NGINX_SERVER_ROOT/nowhere/agents.db;
    agents_provider p { protocol openai; endpoint http://127.0.0.1:1/v1; }
    agents_data_plane f79cbdae-4848-47ca-95e8-69588364d185 {
        cluster shared;
        model m provider=p max_tokens=32000;
    }
--- request
GET /agents/runs/01890000-0000-7000-8000-000000000000/events?c=a&u=b&p=read
--- error_code: 503
--- response_headers
Content-Type: application/problem+json
Retry-After: 1
