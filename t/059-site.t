# conf-examples/site.conf as it stands, but for paths and addresses: TLS and
# HTTP/2, an application in a browser, limits, logs in JSON, metrics.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use AgentsTest;

my $json = JSON::PP->new->utf8;
my $ORIGIN = 'https://app.example.com';

plan skip_all => 'no openssl here' if system 'openssl version >/dev/null 2>&1';
plan skip_all => 'no curl that speaks HTTP/2 here'
    unless qx(curl --version 2>/dev/null) =~ /^Features:.*\bHTTP2\b/m;

my $t = AgentsTest->new(store => 'sqlite');
my %port = map { $_ => AgentsTest::free_port() } qw(443 9145);
start();

subtest 'a run over HTTP/2' => \&run;
subtest 'a preflight and what follows it' => \&preflight;
subtest 'another origin' => \&stranger;
subtest 'an answer that is compressed' => \&compressed;
subtest 'a header that is too long' => \&early;
subtest 'metrics' => \&metrics;
subtest 'too many requests' => \&limited;
subtest 'the log' => \&logged;

$t->allow(qr/limiting requests/);
$t->clean;
done_testing;


sub start {
    my $prefix = $t->prefix;
    my $conf = AgentsTest::slurp("$AgentsTest::TOP/conf-examples/site.conf");
    my $module = AgentsTest::module_path();
    my ($key, $pem) = map { "$prefix/api.$_" } qw(key pem);

    my %change = (
        'include          /etc/nginx/modules-enabled/*.conf;' =>
            "load_module $module;",
        'user             www-data;' => $> == 0 ? 'user root;' : '',
        '/run/nginx.pid' => 'nginx.pid',
        'worker_processes auto' => 'worker_processes 2',
        '/var/log/nginx/error.log' => 'logs/error.log info',
        '/var/log/nginx/access.log' => 'logs/access.log',
        '/var/log/nginx/mcp.log' => 'logs/mcp.log',
        'http {' => join("\n", 'http {', map { "${_}_temp_path $prefix/$_;" }
            qw(client_body proxy fastcgi uwsgi scgi)),
        '/var/lib/nginx/agents/agents.db' => "$prefix/agents.db",
        'https://api.openai.com/v1' => $t->mock->url('/v1'),
        '/etc/nginx/openai.key' => "$prefix/openai.key",
        'rate=20r/s' => 'rate=1r/s',        # however slow the machine is
        'model   gpt-4o' => "model   $AgentsTest::MODEL",
        'agents_mcp_location /_agents_mcp;' =>
            "agents_mcp_location /_agents_mcp; agents_mcp_allow 127.0.0.0/8;",
        'listen 443 ssl http2' => "listen 127.0.0.1:$port{443} ssl http2",
        'listen 127.0.0.1:9145' => "listen 127.0.0.1:$port{9145}",
        '/etc/ssl/certs/api.example.com.pem' => $pem,
        '/etc/ssl/private/api.example.com.key' => $key);
    for (sort keys %change) {
        $conf =~ s/\Q$_\E/$change{$_}/g or die "not in the example: $_\n";
    }

    put("$prefix/openai.key", "key-of-the-provider\n");
    system("openssl req -x509 -newkey rsa:2048 -nodes -keyout $key -out $pem"
           . ' -days 2 -subj /CN=api.example.com'
           . ' -addext subjectAltName=DNS:api.example.com 2>/dev/null') == 0
        or die "no certificate\n";
    put("$prefix/conf/nginx.conf", $conf);

    my ($status, $out) = $t->nginx;
    die "$out\n" if $status != 0;
    $t->{started} = 1;
    $t->wait_for(10, sub { -s "$prefix/nginx.pid" }) or die "no pid\n";
    $t->wait_for(10, sub { curl('/agents/models')->{status} == 200 })
        or die "not ready\n", $t->log;
    return;
}


sub put {
    my ($path, $text) = @_;
    open my $out, '>', $path or die "$path: $!\n";
    print $out $text;
    close $out or die "$path: $!\n";
    return;
}


# By HTTP/2, with the token unless the first argument is a "-".
sub curl {
    my ($path, @args) = @_;
    my $token = $t->token;
    unshift @args, '-H', "Authorization: Bearer $token"
        unless @args && $args[0] eq '-';
    shift @args if $args[0] eq '-';
    open my $out, '-|', 'curl', '-s', '-i', '--http2', '--cacert',
        $t->prefix . '/api.pem', '--resolve',
        "api.example.com:$port{443}:127.0.0.1", @args,
        "https://api.example.com:$port{443}$path" or die "curl: $!\n";
    local $/;
    my ($head, $body) = split /\r\n\r\n/, <$out> || '', 2;
    my ($status) = ($head || '') =~ m{^HTTP/\S+ (\d+)};
    my %headers = map { /^([^:]+): (.*)$/ ? (lc $1, $2) : () }
                  split /\r\n/, $head || '';
    return { status => $status || 0, headers => \%headers, content => $body,
             json => scalar eval { $json->decode($body) } };
}


sub post {
    my ($path, $body) = @_;
    return curl($path, '-H', 'Content-Type: application/json',
                '-H', "Origin: $ORIGIN", '-d', $json->encode($body));
}


sub run {
    my $answer = post('/agents/conversations', { defaults => {
        model => $AgentsTest::MODEL, data_plane_id => $AgentsTest::PLANE,
        execution_cluster => 'shared', mcp_servers => [
            { alias => 'mcp', url => $t->mcp } ] } });
    is $answer->{status}, 201, 'a conversation' or diag $answer->{content};
    my $conversation = $answer->{json}{id};

    $answer = post("/agents/conversations/$conversation/runs", {
        client_op_id => uuid(), expected_version => 0, payload => {
            kind => 'user_message', text => script(
                { tools => [ [ 'mcp-add', { a => 2, b => 3 } ] ] },
                { tool_results => 1 }) } });
    is $answer->{status}, 202, 'a run' or diag $answer->{content};
    my $path = $answer->{headers}{location};

    my $run;
    $t->wait_for(20, sub {
        $run = curl("$path?wait=5")->{json};
        return $run->{finished_at};
    });
    is $run->{final_text}, '5', 'the answer';
    is $t->mock->requests('/v1/chat/completions')->[0]{headers}{authorization},
       'Bearer key-of-the-provider', 'the key of the file';
    return;
}


# As a browser: first whether it may, without the token; then it does.
sub preflight {
    my $answer = curl('/agents/conversations', '-', '-X', 'OPTIONS',
        '-H', "Origin: $ORIGIN", '-H', 'Access-Control-Request-Method: POST',
        '-H', 'Access-Control-Request-Headers: authorization,content-type');
    my $headers = $answer->{headers};
    is $answer->{status}, 204, 'it may';
    is $headers->{'access-control-allow-origin'}, $ORIGIN, 'this origin';
    like $headers->{'access-control-allow-methods'}, qr/\b$_\b/, $_
        for qw(POST PATCH DELETE);
    like $headers->{'access-control-allow-headers'}, qr/\b$_\b/, $_
        for qw(Authorization Content-Type If-None-Match Last-Event-ID);

    for my $answer (curl('/agents/conversations', '-H', "Origin: $ORIGIN"),
                    curl('/agents/nothing', '-H', "Origin: $ORIGIN"),
                    curl('/agents/conversations', '-', '-H',
                         "Origin: $ORIGIN"))
    {
        is $answer->{headers}{'access-control-allow-origin'}, $ORIGIN,
           "the page may read a $answer->{status}";
        like $answer->{headers}{'access-control-expose-headers'},
             qr/ETag, Location/, 'its headers, too';
    }
    return;
}


sub stranger {
    my $answer = curl('/agents/models', '-H', 'Origin: https://evil.example');
    is $answer->{status}, 200, 'who has the token is answered';
    is $answer->{headers}{'access-control-allow-origin'}, undef,
       'no page of it may read that';
    return;
}


sub compressed {
    my $list = curl('/agents/conversations')->{json}{records};
    my $path = "/agents/conversations/$list->[0]{id}";
    my $answer = curl($path, '--compressed');
    is $answer->{headers}{'content-encoding'}, 'gzip', 'it is';
    is $answer->{json}{id}, $list->[0]{id}, 'and readable';

    $answer = curl($path, '--compressed', '-H',
                   "If-None-Match: $answer->{headers}{etag}");
    is $answer->{status}, 304, 'its tag is as good';
    return;
}


sub limited {
    my $url = "https://api.example.com:$port{443}/agents/models?n=[1-150]";
    my $token = $t->token;
    my @got = qx(curl -s --http2 --cacert @{[ $t->prefix ]}/api.pem --resolve \\
        api.example.com:$port{443}:127.0.0.1 -H "Authorization: Bearer $token" \\
        -w '\\n%{http_code}\\n' "$url");
    my %n;
    $n{$_}++ for grep { /^\d+$/ } map { chomp; $_ } @got;
    cmp_ok $n{200} || 0, '>', 50, 'a burst is served';
    ok $n{429}, 'what is beyond is told so';
    is scalar(grep { m{/errors/too-many-requests"} } @got), $n{429},
       'by a problem';
    return;
}


sub early {
    my $answer = curl('/agents/models', '--http1.1', '-H',
                      'X-Long: ' . 'x' x 40000);
    is $answer->{status}, 400, 'refused';
    like $answer->{json}{type},
         qr{^https://api\.example\.com/errors/invalid-request$}, 'a problem';
    return;
}


sub metrics {
    my $answer = HTTP::Tiny->new->get("http://127.0.0.1:$port{9145}/metrics");
    is $answer->{status}, 200, 'there';
    like $answer->{content}, qr/^agents_runs_accepted_total 1$/m, 'one run';
    return;
}


sub logged {
    my @lines = map { $json->decode($_) } split /\n/,
                AgentsTest::slurp($t->prefix . '/logs/access.log');
    my ($run) = grep { $_->{request} =~ m{^POST .*/runs$} } @lines;
    is_deeply [ @$run{qw(status company user run_status error)} ],
              [ 202, 'acme', 'ann', 'pending', '' ], 'the POST of the run';
    my ($refused) = grep { $_->{status} == 401 } @lines;
    is_deeply [ @$refused{qw(user error)} ], [ '', 'unauthorized' ],
              'a request without a token';

    my @calls = map { $json->decode($_) } split /\n/,
                AgentsTest::slurp($t->prefix . '/logs/mcp.log');
    my ($call) = grep { $_->{tool} eq 'add' } @calls;
    is_deeply [ @$call{qw(run user alias status)} ],
              [ $run->{run}, 'ann', 'mcp', 200 ], 'the call of the tool';
    return;
}
