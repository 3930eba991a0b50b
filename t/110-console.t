# The directive agents_console: its files, what goes with them, and that there
# are no others.

use Test::Nginx::Socket 'no_plan';

# the caller is named by the request: c(ompany), u(ser) and p(ermissions)
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
    location /console/ { agents_console; }
CONF
});

no_root_location();
run_tests();

__DATA__

=== TEST 1: the files, byte for byte, with the path of the API in the page
--- request eval
[map { "GET /console/$_" } '', '?x=y', qw(api.js view.js console.js console.css)]
--- response_headers eval
my $rest = "Content-Security-Policy: default-src 'none'; script-src 'self'; "
    . "style-src 'self'; connect-src 'self'; base-uri 'none'; "
    . "form-action 'none'; frame-ancestors 'none'
X-Content-Type-Options: nosniff
Referrer-Policy: no-referrer
Cache-Control: no-cache
!Set-Cookie";
[(map { "Content-Type: text/html; charset=utf-8\n$rest" } 1, 2),
 (map { "Content-Type: text/javascript; charset=utf-8\n$rest" } 1 .. 3),
 "Content-Type: text/css; charset=utf-8\n$rest"]
--- response_headers_like eval
[('ETag: "[0-9a-f]{32}"') x 6]
--- response_body_filters eval
sub {
    my ($body) = @_;
    $body =~ s{data-api="/agents"}{data-api="\{\{api\}\}"};
    for my $path (glob 'console/*') {
        open my $in, '<:raw', $path or die $!;
        my $file = do { local $/; <$in> };
        return $path if $body eq $file;
    }
    return 'another';
}
--- response_body eval
[map { "console/$_" } qw(index.html index.html api.js view.js console.js
                         console.css)]
--- no_error_log
[error]


=== TEST 2: nothing in the page is its own script or style, or from elsewhere
--- request eval
[("GET /console/") x 4]
--- response_body_unlike eval
['<script(?! src="[a-z]+\.js" defer></script>)', '<style|\sstyle=|\son[a-z]+=',
 'https?:|//[a-z]', '\{\{']
--- no_error_log
[error]


=== TEST 3: HEAD, OPTIONS, and other methods
--- request eval
["HEAD /console/", "HEAD /console/api.js", "OPTIONS /console/api.js",
 "POST /console/\n{}", "DELETE /console/api.js", "PUT /console/nothing\n{}"]
--- error_code eval
[200, 200, 204, 405, 405, 405]
--- response_headers eval
["Content-Type: text/html; charset=utf-8",
 "Content-Type: text/javascript; charset=utf-8", "Allow: GET, HEAD, OPTIONS",
 ("Content-Type: application/problem+json
Allow: GET, HEAD, OPTIONS
X-Content-Type-Options: nosniff") x 3]
--- response_body_like eval
[('\A\z') x 3, ('"status":405') x 3]
--- no_error_log
[error]


=== TEST 4: a browser that has it
--- request eval
[("GET /console/view.js") x 4]
--- more_headers eval
["If-None-Match: *", "If-None-Match: \"x\"", "If-Match: *",
 "If-Match: \"x\""]
--- error_code eval
[304, 200, 200, 412]
--- response_headers eval
[("Referrer-Policy: no-referrer\nCache-Control: no-cache") x 4]
--- response_body_like eval
['\A\z', 'use strict', 'use strict', '"status":412']
--- no_error_log
[error]


=== TEST 5: no other name is one
--- request eval
[map { "GET /console/$_" } 'index.html', 'api.js/', 'api', 'Api.js', 'api.jsx',
 'embed.sh', 'x/api.js', '..%2fconsole%2fx', '{{api}}', '%20', 'x/../api.js']
--- error_code eval
[(404) x 10, 200]
--- response_headers eval
[("Content-Type: application/problem+json\nX-Content-Type-Options: nosniff") x 10,
 "Content-Type: text/javascript; charset=utf-8"]


=== TEST 6: without its slash the location is sent to its page
--- config
    location /console/ { agents_console; }
    location /other    { agents_console; }
--- request eval
["GET /console", "GET /console?x=y", "GET /other", "GET /other?x=y",
 "GET /other/", "GET /other/api.js", "GET /otherx", "GET /consolex"]
--- error_code eval
[(301) x 4, 200, 200, 404, 404]
--- response_headers_like eval
['Location: http://[^/]+/console/', 'Location: http://[^/]+/console/\?x=y',
 'Location: http://[^/]+/other/', 'Location: http://[^/]+/other/\?x=y',
 'Content-Type: text/html.*', 'Content-Type: text/javascript.*',
 'Content-Type: application/problem.json', 'Content-Type: text/html']


=== TEST 7: relative redirects, for whom a proxy serves
--- config
    location /other { agents_console; absolute_redirect off; }
--- request
GET /other
--- error_code: 301
--- response_headers
Location: /other/


=== TEST 8: without an API, and with one elsewhere
--- config
    location /console/   { agents_console; }
    location /consoles/a { agents_console /v1/agents; }
    location ^~ /b/      { agents_console /x-1/y_2.z~; }
--- request eval
["GET /console/", "GET /consoles/a/", "GET /b/", "GET /agents/models"]
--- error_code eval
[200, 200, 200, 404]
--- response_body_like eval
['<html lang="en" data-api="/agents">', '<html lang="en" data-api="/v1/agents">',
 '<html lang="en" data-api="/x-1/y_2.z~">', '']
--- unrecorded


=== TEST 9: beside the API, which asks for a caller as ever
--- request eval
["GET /console/", "GET /agents/models", "GET /agents/models?c=acme&u=ann&p=read"]
--- error_code eval
[200, 401, 200]
--- response_headers eval
["Content-Type: text/html; charset=utf-8",
 "Content-Type: application/problem+json\n!Content-Security-Policy",
 "Content-Type: application/json\n!Content-Security-Policy"]
--- no_error_log
[error]


=== TEST 10: the operator's rules go before, and are problems, too
--- config
    error_page 403 /page;
    location /page { return 200 "page"; }
    location /console/ { agents_console; deny all; }
    location /who/ {
        agents_console;
        agents_auth token;
        auth_request /auth;
    }
    location = /auth { internal; return 401; }
--- request eval
["GET /console/", "GET /console/api.js", "GET /who/"]
--- error_code eval
[403, 403, 401]
--- response_headers eval
[("Content-Type: application/problem+json") x 3]


=== TEST 11: "if" and "limit_except" are within it
--- config
    location /console/ {
        agents_console /v2/agents;
        limit_except GET { deny all; }
        if ($arg_x) { add_header X-Seen yes; }
    }
--- request eval
["GET /console/?x=1", "GET /console/api.js", "POST /console/\n{}"]
--- error_code eval
[200, 200, 403]
--- response_headers eval
["X-Seen: yes", "!X-Seen", "Content-Type: application/problem+json"]
--- response_body_like eval
['data-api="/v2/agents"', 'use strict', '"status":403']


=== TEST 12: gzip
--- config
    location /console/ {
        agents_console;
        gzip on;
        gzip_types text/css text/javascript;
    }
--- more_headers
Accept-Encoding: gzip
--- request eval
[map { "GET /console/$_" } '', 'console.css', 'console.js']
--- response_headers eval
[("Content-Encoding: gzip") x 3]
--- response_headers_like eval
[('ETag: W/"[0-9a-f]{32}"') x 3]
