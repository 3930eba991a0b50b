# A store that is not there: nginx starts, and each request is a problem.

use Test::Nginx::Socket 'no_plan';

no_root_location();
run_tests();

__DATA__

=== TEST 1: what needs the store is a 503
--- http_config
    agents_store sqlite:/nowhere/at/all/agents.db;
    agents_provider p { protocol openai; endpoint http://127.0.0.1:1/v1; }
    agents_data_plane f79cbdae-4848-47ca-95e8-69588364d185 {
        cluster shared;
        model m provider=p max_tokens=32000;
    }
--- config
    location /agents {
        agents_api;
        agents_auth variables $arg_c $arg_u $arg_p;
    }
--- request eval
[(map { "GET $_?c=acme&u=ann&p=read" }
  '/agents/conversations', '/agents/conversations/x',
  '/agents/conversations/x/messages', '/agents/conversations/x/runs',
  '/agents/runs/x'),
 "POST /agents/conversations?c=acme&u=ann&p=write
{\"defaults\": {\"model\": \"m\", \"execution_cluster\": \"shared\",
 \"data_plane_id\": \"f79cbdae-4848-47ca-95e8-69588364d185\"}}",
 "POST /agents/conversations/x/runs?c=acme&u=ann&p=write
{\"client_op_id\": \"01234567-89ab-4cde-8f01-23456789abcd\",
 \"expected_version\": 0, \"payload\":
 {\"kind\": \"user_message\", \"text\": \"hello\"}}"]
--- more_headers
Content-Type: application/json
--- error_code eval
[(503) x 7]
--- response_headers eval
[("Content-Type: application/problem+json\nRetry-After: 1") x 7]
--- response_body_like eval
[('\A\{"type":"http://localhost/errors/store-unavailable","title":"Store Unavailable","status":503,"detail":"[^"]+","instance":"/agents/[^"]+","log_id":"[0-9a-f]{32}"\}\z') x 7]
--- timeout: 5



=== TEST 2: what does not need it answers
--- http_config
    agents_store sqlite:/nowhere/at/all/agents.db;
--- config
    location /agents {
        agents_api;
        agents_auth variables $arg_c $arg_u $arg_p;
    }
    location /errors { agents_errors; }
    location /plain { return 200 "plain\n"; }
--- request eval
["GET /agents/nothing", "GET /agents/conversations",
 "PUT /agents/conversations", "OPTIONS /agents/conversations",
 "POST /agents/conversations?c=acme&u=ann&p=write\n{}",
 "GET /agents/conversations?c=acme&u=ann&p=read&page=0",
 "GET /errors/store-unavailable", "GET /plain"]
--- more_headers
Content-Type: application/json
--- error_code eval
[404, 401, 405, 204, 400, 400, 200, 200]



=== TEST 3: with tokens, no one can be known
--- http_config
    agents_store sqlite:/nowhere/at/all/agents.db;
--- config
    location /agents {
        agents_api;
        agents_auth token;
    }
--- request eval
["GET /agents/conversations", "GET /agents/conversations"]
--- more_headers eval
["Authorization: Bearer x", "X: y"]
--- error_code eval
[503, 401]
--- response_headers eval
["Content-Type: application/problem+json\nRetry-After: 1\n!WWW-Authenticate",
 "WWW-Authenticate: Bearer"]
