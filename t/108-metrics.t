# The directive agents_metrics: methods, the type of what it says, and that it
# asks for nothing that is not there.

use Test::Nginx::Socket 'no_plan';

add_block_preprocessor(sub {
    my ($block) = @_;
    my $api = $block->name =~ /without an API/ ? '' : <<'CONF';
    agents_store sqlite:$TEST_NGINX_SERVER_ROOT/logs/agents.db;
    agents_provider p { protocol openai; endpoint http://127.0.0.1:1/v1; }
    agents_data_plane f79cbdae-4848-47ca-95e8-69588364d185 {
        cluster shared;
        model m provider=p max_tokens=32000;
    }
CONF
    $block->set_value('http_config', ($block->http_config || '') . $api);
    $block->set_value('config', <<'CONF') if !defined $block->config;
    location /agents {
        agents_api;
        agents_auth variables $arg_c $arg_u $arg_p;
    }
    location = /metrics { agents_metrics; allow 127.0.0.1; deny all; }
CONF
});

no_root_location();
run_tests();

__DATA__

=== TEST 1: GET and HEAD, in the first answer of a new server too
--- request eval
["GET /metrics", "GET /metrics?x=y", "HEAD /metrics"]
--- error_code eval
[200, 200, 200]
--- response_headers eval
[("Content-Type: text/plain; version=0.0.4; charset=utf-8") x 3]
--- response_body_like eval
[('\A# HELP agents_build_info [^\n]+\n# TYPE agents_build_info gauge\nagents_build_info\{version="[0-9.]+",nginx="[0-9.]+"\} 1\n(?s:.*)\nagents_series_dropped_total 0\n\z') x 2, '\A\z']
--- no_error_log
[error]


=== TEST 2: other methods
--- request eval
["POST /metrics\nx", "DELETE /metrics", "OPTIONS /metrics"]
--- error_code eval
[405, 405, 204]
--- response_headers eval
[("Content-Type: application/problem+json
Allow: GET, HEAD, OPTIONS") x 2,
 "Allow: GET, HEAD, OPTIONS"]
--- no_error_log
[error]


=== TEST 3: without an API
--- config
    location = /metrics { agents_metrics; }
--- request
GET /metrics
--- error_code: 200
--- response_headers
Content-Type: text/plain; version=0.0.4; charset=utf-8
--- response_body_like: \A# HELP agents_build_info [^\n]+\n# TYPE agents_build_info gauge\nagents_build_info\{version="[0-9.]+",nginx="[0-9.]+"\} 1\n\z
--- no_error_log
[error]


=== TEST 4: the operator's own rules hold
--- config
    location /agents {
        agents_api;
        agents_auth variables $arg_c $arg_u $arg_p;
    }
    location = /metrics { agents_metrics; deny all; }
--- request
GET /metrics
--- error_code: 403


=== TEST 5: requests that the API refused before it was asked
--- config
    location /agents {
        agents_api;
        agents_auth variables $arg_c $arg_u $arg_p;
        location /agents/runs {
            agents_api second;
            agents_auth variables $arg_c $arg_u $arg_p;
            deny all;
        }
    }
    location = /metrics { agents_metrics; }
--- request eval
["GET /agents/runs/x", "GET /agents/conversations/%20/messages", "GET /metrics"]
--- error_code eval
[403, 401, 200]
--- response_body_like eval
['forbidden', 'unauthorized',
 '(?s)agents_requests_total\{route="/agents/(runs/\{id\}",method="GET",status="403|conversations/\{id\}/messages",method="GET",status="401)"\} 1\nagents_requests_total\{route="/agents/(?!\1)[^\n]+ 1\n#']


=== TEST 6: gzip goes by the type without its parameters
--- config
    location = /metrics {
        agents_metrics;
        gzip on;
        gzip_types text/plain;
    }
--- more_headers
Accept-Encoding: gzip
--- request
GET /metrics
--- error_code: 200
--- response_headers
Content-Type: text/plain; version=0.0.4; charset=utf-8
Content-Encoding: gzip
