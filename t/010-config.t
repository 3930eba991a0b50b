# What "nginx -t" says to each directive.  A case is a good configuration with
# one thing changed; where it is wrong, the message has to name the file, the
# line that is at fault (marked with HERE) and what would be right.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use AgentsTest;

$ENV{AGENTS_TEST_KEY} = 'secret-of-the-test';
delete $ENV{AGENTS_TEST_NOTHING};

my $t = AgentsTest->new(workers => 1, store => 'sqlite');
my $other = '11111111-1111-4111-8111-111111111111';
my $provider = 'protocol openai; endpoint http://127.0.0.1:1/v1; api_key x;';
my $model = "model m provider=p max_tokens=10;";

taken();
refused();
secrets();
unused();
examples();
done_testing;


# The parts of a good configuration, each of which a case can replace.
sub config {
    my (%part) = @_;
    %part = (store => 'agents_store sqlite:%PREFIX%/agents.db;',
             http => '', provider => $provider, plane => "cluster c; $model",
             auth => 'agents_auth token;', location => '', server => '',
             %part);
    return <<"CONF";
    $part{store}
    $part{http}
    agents_provider p { $part{provider}
    }
    agents_data_plane $AgentsTest::PLANE { $part{plane}
    }
    server {
        listen 127.0.0.1:%PORT%;
        location /agents { agents_api; $part{auth} $part{location}
        }
        location /_mcp { internal; proxy_pass \$agents_mcp_upstream; }
        $part{server}
    }
CONF
}


sub check {
    my ($main, $config) = @_;
    @$t{qw(main config)} = ($main, $config);
    return $t->check;
}


sub taken {
    my @cases = (
        [ 'nothing but what is needed' ],
        [ 'a store of PostgreSQL',
          store => 'agents_store "postgres:host=/nowhere dbname=agents";' ],
        [ 'a store behind a pooler', store => 'agents_store'
          . ' "postgres:host=/nowhere" prepare=off "listen=host=/nowhere";' ],
        [ 'the directives of the http block', http => <<'CONF' ],
    agents_zone agents:2m;
    agents_thread_pool agents;
    agents_lease 5s;
    agents_drain_timeout 500ms;
    agents_docs_url https://docs.example.com/errors/;
CONF
        [ 'the directives of a location', location => <<'CONF' ],
    agents_mcp_location /_mcp;
    agents_mcp_allow 10.1.0.0/16;
    agents_mcp_allow 2001:db8::/32;
    agents_mcp_allow mcp.example.com;
    agents_mcp_deny *.example.net;
    agents_mcp_allow private;
    agents_mcp_deny all;
    agents_max_iterations 100;
    agents_max_runs_per_user 1;
    agents_run_timeout 30m;
    agents_inference_timeout 120s;
    agents_queue_timeout 1m;
    agents_discovery_timeout 5s;
    agents_mcp_cache 10m;
    agents_tool_timeout 60s;
    agents_tool_result_max 100k;
    agents_run_results_max 8m;
    agents_mcp_body_max 8m;
CONF
        [ 'the directives of a location, from the http block', auth => '',
          http => <<'CONF' ],
    agents_auth variables $http_x_company $http_x_user "read write";
    agents_mcp_location /_mcp;
    agents_mcp_allow all;
    agents_mcp_deny all;
    agents_max_iterations 5;
    agents_max_runs_per_user 5;
    agents_run_timeout 1s;
    agents_inference_timeout 1s;
    agents_queue_timeout 1s;
    agents_discovery_timeout 1s;
    agents_tool_timeout 1s;
    agents_tool_result_max 1k;
    agents_run_results_max 1k;
    agents_mcp_body_max 1m;
CONF
        [ 'all of a provider', provider => <<'CONF' ],
    protocol openai;
    endpoint https://127.0.0.1:8443/a/b/;
    api_key env:AGENTS_TEST_KEY;
    connect_timeout 5s;
    timeout 120s;
    retries 0;
    max_connections 512;
    ssl_trusted_certificate /etc/ssl/certs/ca-certificates.crt;
    proxy http://user:password@127.0.0.1:3128;
CONF
        [ 'a provider without a key',
          provider => 'protocol openai; endpoint http://localhost:1/v1;' ],
        [ 'all of a data plane', plane => <<'CONF' ],
    company acme other;
    company third;
    cluster shared max_inferences=256;
    cluster dedicated;
    model m provider=p id=x max_tokens=32000 title no_temperature
          no_forced_choice no_named_choice no_native_format no_strict_tools
          no_format_with_tools max_tokens_field=max_completion_tokens;
    model n provider=p max_tokens=1;
CONF
        [ 'a second data plane', http =>
          "agents_data_plane \U$other\E { cluster c; $model }" ],
        [ 'a second API', server =>
          'location /agents/two { agents_api two; agents_auth token; }' ],
        [ 'the catalog of errors', server =>
          'location /errors { agents_errors; } '
          . 'location ^~ /problems/ { agents_errors; }' ],
        [ 'the console', server => 'location /console/ { agents_console; } '
          . 'location /c { agents_console /v1/agents; }' ],
        [ 'metrics', server => 'location = /metrics { agents_metrics; '
          . 'allow 127.0.0.1; deny all; } location /m { agents_metrics; }' ],
        [ 'the variables', http => 'log_format a "$agents_company'
          . ' $agents_user $agents_conversation_id $agents_run_id'
          . ' $agents_run_status $agents_error $agents_mcp_upstream'
          . ' $agents_mcp_host $agents_mcp_server_name $agents_mcp_alias'
          . ' $agents_mcp_tool";' ],
    );

    for (@cases) {
        my ($name, %part) = @$_;
        my ($status, $out) = check('thread_pool agents threads=1;',
                                   config(%part));
        is $status, 0, "taken: $name" or diag($out);
        unlike $out, qr/\[(?:warn|error|crit|alert|emerg)\]/, 'without a word';
    }
    return;
}


sub refused {
    my $api = 'agents_api; agents_auth token;';

    my @cases = (
        # what is wrong => the part => its text => what the message says

        [ 'no store', store => '', auth => "# HERE\n agents_auth token;",
          'agents_store sqlite:PATH' ],
        [ 'store empty', store => 'agents_store ""; # HERE',
          'sqlite:PATH.*postgres:CONNINFO' ],
        [ 'store unknown', store => 'agents_store mysql:x; # HERE',
          'sqlite:PATH.*postgres:CONNINFO' ],
        [ 'store of SQLite without a file', store => 'agents_store sqlite:;'
          . ' # HERE', 'name a file' ],
        [ 'store of SQLite in memory', store => 'agents_store sqlite::memory:;'
          . ' # HERE', 'name a file' ],
        [ 'store of SQLite with options', store =>
          'agents_store sqlite:/x prepare=off; # HERE', 'no options' ],
        [ 'conninfo that is none', store =>
          'agents_store "postgres:hots=x"; # HERE', 'hots.*postgres:host=' ],
        [ 'conninfo of listen that is none', store =>
          'agents_store "postgres:host=x" "listen=hots=x"; # HERE', 'hots' ],
        [ 'option of PostgreSQL unknown', store =>
          'agents_store "postgres:host=x" pool=1; # HERE',
          'prepare=on.*prepare=off.*listen=' ],
        [ 'conninfo empty', store => 'agents_store postgres:; # HERE',
          'empty.*postgres:host=' ],
        [ 'conninfo of listen empty', store =>
          'agents_store "postgres:host=x" listen=; # HERE', 'empty' ],
        [ 'store twice', store => "agents_store sqlite:/x;\n"
          . 'agents_store sqlite:/y; # HERE', 'duplicate' ],
        [ 'zone without a size', http => 'agents_zone agents; # HERE',
          'NAME:SIZE' ],
        [ 'zone without a name', http => 'agents_zone :1m; # HERE',
          'NAME:SIZE' ],
        [ 'zone too small', http => 'agents_zone agents:4k; # HERE',
          'at least \d+[km]' ],
        [ 'zone of no size', http => 'agents_zone agents:big; # HERE',
          'at least \d+[km]' ],
        [ 'zone twice', http => "agents_zone a:1m;\nagents_zone b:1m; # HERE",
          'duplicate' ],
        [ 'thread pool unknown', http => 'agents_thread_pool nothing; # HERE?',
          'unknown thread pool "nothing"' ],
        [ 'thread pool twice', http => "agents_thread_pool agents;\n"
          . 'agents_thread_pool agents; # HERE', 'duplicate' ],
        [ 'lease no time', http => 'agents_lease soon; # HERE', 'invalid' ],
        [ 'lease too short', http => 'agents_lease 999ms; # HERE',
          '"agents_lease": it must be from 1s to 1h' ],
        [ 'lease too long', http => 'agents_lease 2h; # HERE',
          '"agents_lease": it must be from 1s to 1h' ],
        [ 'drain timeout no time', http => 'agents_drain_timeout x; # HERE',
          'invalid' ],
        [ 'docs url relative', http => 'agents_docs_url /errors; # HERE',
          'http://.*https://' ],
        [ 'docs url without a host', http =>
          'agents_docs_url https://; # HERE', 'host' ],
        [ 'docs url with a blank', http =>
          'agents_docs_url "https://a/b c"; # HERE', 'blanks' ],
        [ 'docs url with a query', http =>
          'agents_docs_url https://a/?b=; # HERE', 'no query' ],
        [ 'max_bodies of more than there can be', http =>
          'agents_max_bodies 1025m; # HERE', 'from 1k to 1024m' ],
        [ 'docs url twice', http => "agents_docs_url http://a;\n"
          . 'agents_docs_url http://b; # HERE', 'duplicate' ],

        [ 'provider without a name', http => "agents_provider { # HERE\n}",
          'number of arguments' ],
        [ 'provider with an empty name', http =>
          "agents_provider '' { # HERE\n $provider\n}", 'must not be empty' ],
        [ 'provider twice', http => '', server => '', provider => "$provider\n"
          . "}\nagents_provider p { # HERE\n$provider", 'duplicate.*first' ],
        [ 'provider without a protocol', provider =>
          'endpoint http://127.0.0.1; # HERE', 'no "protocol"' ],
        [ 'provider without an endpoint', provider =>
          'protocol openai; # HERE', 'no "endpoint"' ],
        [ 'protocol unknown', provider => 'protocol soap; # HERE', 'openai' ],
        [ 'protocol twice', provider => "protocol openai;\n"
          . 'protocol openai; # HERE', 'duplicate' ],
        [ 'endpoint without a scheme', provider => 'protocol openai; '
          . 'endpoint 127.0.0.1; # HERE', 'http://.*https://' ],
        [ 'endpoint with a query', provider => 'protocol openai; '
          . 'endpoint http://127.0.0.1/?a=b; # HERE', 'without.*query' ],
        [ 'endpoint with a user', provider => 'protocol openai; '
          . 'endpoint http://u@127.0.0.1/; # HERE', 'without.*user' ],
        [ 'endpoint with no port that is', provider => 'protocol openai; '
          . 'endpoint http://127.0.0.1:99999/; # HERE', 'port' ],
        [ 'endpoint without a host', provider => 'protocol openai; '
          . 'endpoint http:///v1; # HERE', 'host' ],
        [ 'endpoint that is not known', provider => 'protocol openai; '
          . 'endpoint http://nowhere.invalid/; # HERE', 'not found' ],
        [ 'api_key of a variable that is not set', provider =>
          'api_key env:AGENTS_TEST_NOTHING; # HERE',
          'AGENTS_TEST_NOTHING.*not set' ],
        [ 'api_key of no variable', provider => 'api_key env:; # HERE',
          'not set' ],
        [ 'api_key of a file that is not there', provider =>
          'api_key file:/nowhere/key; # HERE', '/nowhere/key' ],
        [ 'api_key of an empty file', provider =>
          'api_key file:/dev/null; # HERE', 'empty' ],
        [ 'api_key empty', provider => 'api_key ""; # HERE', 'empty' ],
        [ 'api_key twice', provider => "api_key x;\napi_key y; # HERE",
          'duplicate' ],
        [ 'connect_timeout 0', provider => 'connect_timeout 0; # HERE',
          'time such as 5s' ],
        [ 'timeout no time', provider => 'timeout long; # HERE',
          'time such as 5s' ],
        [ 'timeout twice', provider => "timeout 1s;\ntimeout 2s; # HERE",
          'duplicate' ],
        [ 'retries negative', provider => 'retries -1; # HERE',
          'from 0 to 100' ],
        [ 'retries too many', provider => 'retries 101; # HERE',
          'from 0 to 100' ],
        [ 'max_connections 0', provider => 'max_connections 0; # HERE',
          'from 1 to' ],
        [ 'certificate that is not there', provider =>
          'ssl_trusted_certificate /nowhere.crt; # HERE', '/nowhere.crt' ],
        [ 'proxy without a scheme', provider => 'proxy 127.0.0.1:3128; # HERE',
          'http://.*https://' ],
        [ 'a key of a provider that is none', provider => 'model x; # HERE',
          'known are protocol, endpoint' ],
        [ 'a key without a value', provider => 'retries; # HERE',
          'takes one value' ],
        [ 'a key with two values', provider => 'retries 1 2; # HERE',
          'takes one value' ],

        [ 'data plane that is no UUID', http =>
          "agents_data_plane main { # HERE\n cluster c; $model }", 'UUID' ],
        [ 'data plane twice', http => "agents_data_plane $other {"
          . " cluster c; $model }\nagents_data_plane \U$other\E { # HERE\n"
          . " cluster c; $model }", 'duplicate' ],
        [ 'data plane without a cluster', http =>
          "agents_data_plane $other { # HERE\n $model }", 'cluster' ],
        [ 'data plane without a model', http =>
          "agents_data_plane $other { # HERE\n cluster c; }", 'model' ],
        [ 'a key of a data plane that is none', plane => 'region x; # HERE',
          'company, cluster and model' ],
        [ 'a key of a data plane that is none, without a name', plane =>
          'region; # HERE', 'company, cluster and model' ],
        [ 'company without a name', plane => 'company; # HERE', 'name' ],
        [ 'company with an empty name', plane => 'company a ""; # HERE',
          'empty' ],
        [ 'cluster without a name', plane => 'cluster; # HERE', 'name' ],
        [ 'cluster twice', plane => "cluster c;\ncluster c; # HERE",
          'duplicate' ],
        [ 'max_inferences 0', plane => 'cluster c max_inferences=0; # HERE',
          'from 1 to' ],
        [ 'max_inferences no number', plane =>
          'cluster c max_inferences=many; # HERE', 'from 1 to' ],
        [ 'cluster with more', plane => 'cluster c min=1; # HERE',
          'max_inferences=N' ],
        [ 'model without a provider', plane => 'model m max_tokens=1; # HERE',
          'provider=NAME' ],
        [ 'model without max_tokens', plane => 'model m provider=p; # HERE',
          'max_tokens=N' ],
        [ 'model of an unknown provider', plane => "cluster c;\n"
          . 'model m provider=q max_tokens=1; # HERE', 'agents_provider q' ],
        [ 'model twice', plane => "$model\n$model # HERE", 'duplicate' ],
        [ 'max_tokens 0', plane => 'model m provider=p max_tokens=0; # HERE',
          'from 1 to' ],
        [ 'max_tokens twice', plane =>
          'model m provider=p max_tokens=1 max_tokens=2; # HERE',
          'duplicate' ],
        [ 'id empty', plane => 'model m provider=p id= max_tokens=1; # HERE',
          'empty' ],
        [ 'a parameter of a model that is none', plane =>
          'model m provider=p max_tokens=1 fast; # HERE', 'known are' ],

        [ 'API twice in a location', location => "\nagents_api; # HERE",
          'duplicate' ],
        [ 'API of a name twice', server =>
          "location /agents/b { # \n $api # HERE\n}", 'its own name' ],
        [ 'API in a server', server => 'agents_api; # HERE', 'not allowed' ],
        [ 'API without agents_auth', auth => '# HERE', 'agents_auth token' ],
        [ 'API with an empty name', server =>
          "location /agents/b { agents_api ''; # HERE\n}", 'empty name' ],
        [ 'auth unknown', auth => "\nagents_auth basic; # HERE",
          'agents_auth token.*agents_auth jwt jwks=.*agents_auth variables' ],
        [ 'auth token with more', auth => "\nagents_auth token x; # HERE",
          'agents_auth token' ],
        [ 'auth variables with two', auth => "\nagents_auth variables"
          . ' $http_a $http_b; # HERE', '\$company \$user \$permissions' ],
        [ 'auth of a variable that is none', auth => "\nagents_auth variables"
          . ' $http_a $http_b $nothing; # HERE?', 'unknown "nothing"' ],
        [ 'auth twice', auth => "agents_auth token;\nagents_auth token; # HERE",
          'duplicate' ],
        [ 'MCP location relative', location =>
          "\nagents_mcp_location mcp; # HERE", 'start with "/"' ],
        [ 'MCP location twice', location => "agents_mcp_location /a;\n"
          . 'agents_mcp_location /b; # HERE', 'duplicate' ],
        [ 'egress rule with a url', location =>
          "\nagents_mcp_allow https://mcp.example.com/; # HERE",
          'without scheme, port' ],
        [ 'egress rule with a port', location =>
          "\nagents_mcp_deny mcp.example.com:80; # HERE",
          'without scheme, port' ],
        [ 'egress rule of no network', location =>
          "\nagents_mcp_deny 10.0.0.0/33; # HERE", '10.1.0.0/16' ],
        [ 'egress rule of no host', location =>
          "\nagents_mcp_allow *example.com; # HERE", '\*\.example\.com' ],
        [ 'egress rule of an address that is none', location =>
          "\nagents_mcp_allow 10.1.2; # HERE", '10.1.0.0/16' ],
        [ 'max_iterations 0', location =>
          "\nagents_max_iterations 0; # HERE", 'between 1 and 100' ],
        [ 'max_iterations 101', location =>
          "\nagents_max_iterations 101; # HERE", 'between 1 and 100' ],
        [ 'max_iterations no number', location =>
          "\nagents_max_iterations ten; # HERE", 'invalid number' ],
        [ 'max_runs_per_user 0', location =>
          "\nagents_max_runs_per_user 0; # HERE", 'between 1 and' ],
        (map { [ "$_ no time", location => "\n$_ long; # HERE", 'invalid' ],
               [ "$_ 0", location => "\n$_ 0; # HERE",
                 "\"$_\": it must be from 1ms to 24h" ],
               [ "$_ twice", location => "$_ 1s;\n$_ 1s; # HERE",
                 'duplicate' ] }
             qw(agents_run_timeout agents_inference_timeout
                agents_queue_timeout agents_discovery_timeout
                agents_tool_timeout)),
        (map { [ "$_ no size", location => "\n$_ big; # HERE", 'invalid' ],
               [ "$_ 0", location => "\n$_ 0; # HERE",
                 "\"$_\": it must be from 1k to 1024m" ] }
             qw(agents_tool_result_max agents_run_results_max
                agents_mcp_body_max)),

        [ 'errors in an exact location', server =>
          "location = /errors { agents_errors; # HERE\n}", 'prefix location' ],
        [ 'errors in a location of a pattern', server =>
          "location ~ ^/errors { agents_errors; # HERE\n}",
          'prefix location' ],
        [ 'errors in a named location', server =>
          "location \@e { agents_errors; # HERE\n}", 'prefix location' ],
        [ 'errors with a value', server =>
          "location /e { agents_errors x; # HERE\n}", 'number of arguments' ],
        [ 'the console in an exact location', server =>
          "location = /console { agents_console; # HERE\n}",
          'prefix location, such as "location /console/"' ],
        [ 'the console twice', server =>
          "location /c/ { agents_console;\nagents_console; # HERE\n}",
          'is duplicate' ],
        [ 'the console with two paths', server =>
          "location /c/ { agents_console /a /b; # HERE\n}",
          'number of arguments' ],
        (map { [ "the console of $_", server =>
                 "location /c/ { agents_console $_; # HERE\n}",
                 'invalid path' ] }
         '""', '/', '//a', '/a/', '/a//b', 'a', '/a?b', '/a%20b', '/a#b',
         '"/a b"', "'/\"><a'", '/$a', 'https://example.com/agents'),
        [ 'the console beside the catalog', server =>
          "location /c/ { agents_errors;\nagents_console; # HERE\n}",
          'a location of its own' ],
        [ 'the console where the API is', location => "agents_console; # HERE",
          'a location of its own' ],
        [ 'the API where the console is', server =>
          "location /c/ { agents_console;\nagents_api c; # HERE\n}",
          'give it a location of its own' ],
        [ 'metrics with a value', server =>
          "location /m { agents_metrics x; # HERE\n}", 'number of arguments' ],
        [ 'metrics twice', server =>
          "location /m { agents_metrics;\nagents_metrics; # HERE\n}",
          'is duplicate' ],
        [ 'metrics of a server', server =>
          "agents_metrics; # HERE", 'not allowed here' ],
    );

    for (@cases) {
        my $says = pop @$_;
        my ($name, %part) = @$_;
        my ($status, $out) = check('thread_pool agents threads=1;',
                                   config(%part));
        my ($message) = $out =~ /\[emerg\] [\d#: ]*(.*)/;
        $message = $out unless defined $message;
        my $ok = $status != 0 && $message =~ /$says/;
        my $at = '';

        # HERE? marks what nginx finds out only when all has been read
        if ($t->conf =~ /HERE(?!\?)/) {
            my $line = 1 + (() = $` =~ /\n/g);
            $at = "nginx.conf:$line";
            $ok &&= $message =~ /\Q$at\E\b/;
        }
        ok $ok, "refused: $name" or diag("$at /$says/\n$out");
    }
    return;
}


# No message repeats what is secret.
sub secrets {
    my $path = $t->prefix . '/key';
    my $secret = 'sk-0123456789';

    for my $case ([ "$secret\nmore\n", "file:$path" ],
                  [ "$secret\t\n", "file:$path" ]) {
        open my $out, '>', $path or die "$path: $!\n";
        print $out $case->[0];
        close $out;
        my ($status, $text) = check('', config(
            provider => "protocol openai; endpoint http://127.0.0.1;"
                        . " api_key $case->[1];"));
        isnt $status, 0, 'a key with control characters is refused';
        unlike $text, qr/\Q$secret\E/, 'and not repeated';
    }
    return;
}


# Loaded and not used, the module asks for nothing: no thread pool, no store.
sub unused {
    my $server = "server { listen 127.0.0.1:%PORT%;\n"
                 . '    location / { return 204; } }';

    for my $case ([ 'loaded and not used', $server ],
                  [ 'settings without an API', "agents_store sqlite:/x;\n"
                    . "agents_zone agents:1m;\nagents_thread_pool nothing;\n"
                    . "agents_auth token;\nagents_run_timeout 1s;\n$server" ],
                  [ 'the catalog of errors alone', 'server {'
                    . ' listen 127.0.0.1:%PORT%;'
                    . ' location /errors { agents_errors; } }' ],
                  [ 'the console alone', 'server {'
                    . ' listen 127.0.0.1:%PORT%;'
                    . ' location /console/ { agents_console; } }' ],
                  [ 'metrics alone', 'server {'
                    . ' listen 127.0.0.1:%PORT%;'
                    . ' location /metrics { agents_metrics; } }' ]) {
        my ($status, $out) = check('', $case->[1]);
        is $status, 0, "taken: $case->[0]" or diag($out);
    }
    return;
}


# Every file of conf-examples passes, with the paths of this machine; t/059-site.t
# starts the one with absolute paths.
sub examples {
    my $prefix = $t->prefix;
    my $module = AgentsTest::module_path();
    my $modules = AgentsTest::njs();

    for my $file (grep { !m{/site\.conf$} }
                  map { glob "$FindBin::Bin/../conf-examples/$_" }
                  '*.conf', 'scaling/*.conf') {
        my ($name) = $file =~ m{conf-examples/(.+)$};
        my $text = AgentsTest::slurp($file);

    SKIP: {
            skip "$name: no njs here", 1
                if $text =~ /ngx_http_js_module/ && !$modules;

            $text =~ s{modules/ngx_http_agents_module\.so}{$module};
            $text =~ s{modules/(?=ngx_http_js)}{$modules/} if $modules;
            prepare($prefix);

            open my $out, '>', "$prefix/conf/nginx.conf" or die "conf: $!\n";
            print $out $text;
            close $out;
            my ($status, $said) = $t->nginx('-t');
            is $status, 0, "conf-examples/$name passes" or diag($said);
        }
    }
    return;
}


# What the examples include, as those who start them do it.
sub prepare {
    my ($prefix) = @_;
    my $from = "$FindBin::Bin/../conf-examples/quickstart";

    mkdir "$prefix/$_" for 'tmp', 'conf/demo';
    system 'cp', "$from/demo.conf", "$prefix/conf/models.conf";
    system "cp $from/*.js $prefix/conf/demo/";
    mkdir "$prefix/demo";
    system "cp $from/*.js $prefix/demo/";
    my %text = ('resolver.conf' => '', 'search.key' => "0123456789\n",
        'agents.jwk' => '{"kty": "oct", "k": "' . 'A' x 43 . '"}');
    for (keys %text) {
        open my $out, '>', "$prefix/conf/$_" or die "$_: $!\n";
        print $out $text{$_};
        close $out or die "$_: $!\n";
    }
    return;
}
