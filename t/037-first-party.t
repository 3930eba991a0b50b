# agents_mcp_first_party and agents_mcp_credential: what "nginx -t" says of
# them, which requests get a token or a credential and which do not, what the
# token says and how it is renewed, and that neither is found in the store, in
# a log, or in what a caller is told.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use AgentsTest;
use AgentsTest::Jwt;
use Time::HiRes qw(time);

my $jwt = AgentsTest::Jwt->new(rsa => 'rsa', ec => 'P-256', oct => 'oct-32',
    weak => 'rsa-1024', curve => 'P-384', short => 'oct-31');
my $json = JSON::PP->new->canonical->utf8;
my $mcp = AgentsTest::Mcp::handler();
my $SECRET = 'third-party-0123456789';
my $LITERAL = 'Basic bGl0ZXJhbDpzZWNyZXQ=';
$ENV{AGENTS_TEST_CREDENTIAL} = $SECRET;

my $HOST = 'http://127.0.0.1:%MOCK%';
my $DIRECTIVES = join "\n",
    "agents_mcp_first_party $HOST/own key=file:%PREFIX%/rsa.json"
        . ' ttl=300s issuer=https://agents.test;',
    "agents_mcp_first_party $HOST/ec/ key=file:%PREFIX%/ec.json;",
    "agents_mcp_first_party $HOST/oct key=file:../oct.json ttl=5m;",
    "agents_mcp_first_party $HOST/brief key=file:%PREFIX%/ec.json ttl=2s;",
    'agents_mcp_credential search host=127.0.0.1 path=/third header=X-Api-Key'
        . ' value=env:AGENTS_TEST_CREDENTIAL;',
    'agents_mcp_credential other host=127.0.0.1 path=/third/'
        . " header=authorization \"value=$LITERAL\";",
    'agents_mcp_credential port host=127.0.0.1:1 header=X-Port value=x;',
    'agents_mcp_credential safe host=https://127.0.0.1 header=X-Safe value=x;',
    'agents_mcp_credential far host=10.0.0.1 header=X-Far value=x;';

configuration();
subtest 'the example' => \&example;

for my $m (AgentsTest->matrix) {
    my $t = AgentsTest->new(%$m,
        location => $DIRECTIVES,
        replace => { 'error_log logs/error.log info;' =>
                     'error_log logs/error.log debug;' },
        http => <<'CONF',
    log_format all '$http_authorization $http_x_api_key $request_uri $status';
CONF
        mcp_location => 'log_subrequest on; access_log logs/mcp.log all;',
        handlers => {
            map({ ("/$_" => $mcp) } qw(own ownership ec oct brief third other)),
            '/own/tells' => sub { tells($_[0], 'tools/call') },
            '/own/refuses' => sub { refuses(@_, 'tools/call') },
            '/own/closed' => sub { refuses(@_, 'initialize') },
            '/third/tells' => sub { tells($_[0], 'tools/call') },
        });
    keys_are($t);
    $t->start;

    subtest "tokens on $m->{name}" => sub { tokens($t) };
    subtest "who gets none on $m->{name}" => sub { none($t) };
    subtest "credentials on $m->{name}" => sub { credentials($t) };
    subtest "renewed on $m->{name}" => sub { renewed($t) };
    subtest "servers that repeat it on $m->{name}" => sub { repeated($t) };
    $t->clean("$m->{name}: no error logged");
    subtest "found nowhere on $m->{name}" => sub { nowhere($t) };
}

done_testing;


sub keys_are {
    my ($t) = @_;
    my %jwk = map { ($_ => { %{$jwt->private($_)}, kid => "kid-$_" }) }
              qw(rsa ec oct weak curve short);
    $jwk{public} = $jwt->public('rsa');
    $jwk{mixed} = { %{$jwk{rsa}}, n => $jwt->private('weak')->{n} };
    $jwk{alg} = { %{$jwk{rsa}}, alg => 'RS512' };
    $jwk{enc} = { %{$jwk{rsa}}, use => 'enc' };
    $jwk{ops} = { %{$jwk{rsa}}, key_ops => [ 'verify' ] };
    $jwk{set} = { keys => [ $jwk{rsa} ] };

    my %text = map { ($_ => $json->encode($jwk{$_})) } keys %jwk;
    $text{text} = "-----BEGIN PRIVATE KEY-----\n" . $jwt->private('oct')->{k};
    write_file($t, "$_.json", $text{$_}) for keys %text;
    write_file($t, 'credential', "from-a-file-42\n");
    return;
}


sub write_file {
    my ($t, $name, $text) = @_;
    my $path = $t->prefix . "/$name";
    open my $out, '>', $path or die "$path: $!\n";
    print $out $text;
    close $out or die "$path: $!\n";
    return;
}


# ---- what "nginx -t" says ----

sub configuration {
    my $t = AgentsTest->new(store => 'sqlite');
    keys_are($t);
    my $key = 'key=file:%PREFIX%/rsa.json';
    my $party = 'agents_mcp_first_party';
    my $credential = 'agents_mcp_credential c host=a.test header=X-Key';
    my $verify = 'proxy_ssl_verify on; proxy_ssl_trusted_certificate'
                 . ' /etc/ssl/certs/ca-certificates.crt;';

    for ([ 'all of it', $DIRECTIVES ],
         [ 'an https server that is verified', "$party https://a.test $key;",
           $verify ],
         [ 'a value of a file', "$credential value=file:%PREFIX%/credential;" ],
         [ 'from the http block', '', '', "$party http://a.test/ $key;"
           . "$credential value=x;" ],
    ) {
        my ($name, $location, $mcp_location, $http) = @$_;
        @$t{qw(location mcp_location http)} = ($location, $mcp_location,
                                               $http);
        my ($status, $out) = $t->check;
        is $status, 0, "taken: $name" or diag $out;
    }

    my @refused = (
        [ 'an https server that is not verified',
          "$party https://a.test $key;", 'proxy_ssl_verify on' ],
        [ 'no key', "$party http://a.test;", 'needs the parameter "key=' ],
        [ 'a key in place', "$party http://a.test \"key={}\";",
          'needs the parameter "key=file' ],
        [ 'a key that is not there', "$party http://a.test key=file:/nowhere;",
          '/nowhere.*cannot be opened' ],
        [ 'no url', "$party a.test $key;", 'absolute url' ],
        [ 'a url with a query', "$party http://a.test/x?y $key;", 'plain path' ],
        [ 'a url with dots', "$party http://a.test/x/../y $key;",
          'plain path' ],
        [ 'a life too short', "$party http://a.test $key ttl=1s;", '2s to 1d' ],
        [ 'a life too long', "$party http://a.test $key ttl=2d;", '2s to 1d' ],
        [ 'no life', "$party http://a.test $key ttl=x;", '2s to 1d' ],
        [ 'an unknown parameter', "$party http://a.test $key scope=x;",
          'unknown parameter 2 of.*known are key=, ttl=, issuer=' ],
        [ 'a parameter twice', "$party http://a.test $key $key;",
          'duplicate parameter "key="' ],
        [ 'an empty parameter', "$party http://a.test $key issuer=;",
          'empty parameter "issuer="' ],
        [ 'a server twice', "$party http://a.test $key;" x 2,
          'duplicate first-party server' ],
        map({ [ "key $_->[0]",
                "$party http://a.test key=file:%PREFIX%/$_->[0].json;",
                "$_->[0]\\.json.*is no key to sign with: .*$_->[1]" ] }
            [ text => 'no JSON' ], [ set => 'no "kty"' ],
            [ weak => '2048 bits' ], [ short => '32 bytes' ],
            [ curve => 'P-256' ], [ public => 'public key' ],
            [ mixed => 'it is' ], [ alg => '"alg"' ], [ enc => '"use"' ],
            [ ops => '"key_ops"' ]),
        [ 'no value', "$credential;", 'needs the parameter "value="' ],
        [ 'no host', 'agents_mcp_credential c header=x value=y;',
          'needs the parameter "host="' ],
        [ 'no header', 'agents_mcp_credential c host=x value=y;',
          'needs the parameter "header="' ],
        [ 'a credential twice', "$credential value=x;" x 2,
          'duplicate credential' ],
        [ 'a host with a path',
          'agents_mcp_credential c host=a/b header=x value=y;', '"host="' ],
        [ 'a host with another scheme',
          'agents_mcp_credential c host=http://a header=x value=y;',
          '"host=": it must be a host.*https://' ],
        [ 'a header that is no name',
          'agents_mcp_credential c host=a header=x:y value=z;', '"header="' ],
        map({ [ "header $_",
                "agents_mcp_credential c host=a header=$_ value=z;",
                'client\'s own' ] } qw(Host Mcp-Session-Id content-type)),
        [ 'a value of two lines', "$credential \"value=$SECRET\nX: y\";",
          'one line' ],
        [ 'a variable that is not set', "$credential value=env:AGENTS_NO;",
          'AGENTS_NO.*is not set' ],
        [ 'a path that is none', "$credential value=x path=y;", '"path="' ],
    );

    for (@refused) {
        my ($name, $location, $says) = @$_;
        @$t{qw(location mcp_location http)} = ($location, '', '');
        my ($status, $out) = $t->check;
        ok $status != 0 && $out =~ /\[emerg\].*$says/, "refused: $name"
            or diag "/$says/\n$out";
        unlike $out, qr/\Q$SECRET\E|\Q$_\E/, 'no secret is told'
            for $jwt->private('oct')->{k};
    }
    return;
}


# conf-examples/first-party.conf, but for its ports and the module's path.
sub example {
    my $t = AgentsTest->new(store => 'sqlite');
    my ($prefix, $from) = ($t->prefix, "$AgentsTest::TOP/conf-examples");
    my $text = AgentsTest::slurp("$from/first-party.conf");
    my %port = (8080 => $t->{port}, 8443 => $t->mock->port);
    $text =~ s{modules/ngx_http_agents_module\.so}{AgentsTest::module_path()}e;
    $text =~ s/127\.0\.0\.1:(\d+)/127.0.0.1:$port{$1}/g;
    $text = "user root;\n$text" if $> == 0;

    mkdir "$prefix/tmp" or die "tmp: $!\n";
    write_file($t, 'conf/nginx.conf', $text);
    write_file($t, 'conf/models.conf',
               AgentsTest::slurp("$from/quickstart/demo.conf"));
    write_file($t, 'conf/agents.jwk', $json->encode($jwt->private('ec')));
    write_file($t, 'conf/search.key', "$SECRET\n");

    my ($status, $out) = $t->nginx;
    is $status, 0, 'starts' or return diag $out;
    $t->{started} = 1;
    $t->wait_for(10, sub { -s "$prefix/nginx.pid" });
    $t->ready;
    is $t->get('/agents/conversations')->{status}, 200, 'and serves';
    $t->clean;
    return;
}


# ---- whole flows ----

sub play {
    my ($t, $path, %o) = @_;
    my $c = $t->conversation(as => $o{as} || {}, mcp_servers => [ {
        alias => 'm', url => $t->mock->url($path) } ]);
    my $calls = $o{calls} || [ [ [ 'm-add', { a => 2, b => 3 } ] ] ];
    my $run = $t->run($c, script(map({ { tools => $_ } } @$calls),
                                 { text => 'done' }), as => $o{as} || {});
    $run = $t->finished($run, 30, %{$o{as} || {}});
    return ($run, $json->encode($t->messages($c, %{$o{as} || {}})));
}


sub seen {
    my ($t, $path, $header) = @_;
    return map { $_->{headers}{$header || 'authorization'} }
           @{$t->mock->requests($path)};
}


sub tokens {
    my ($t) = @_;
    my @cases = ([ '/own', RS256 => 'rsa', 300, 'https://agents.test', '/own' ],
                 [ '/own/below?x=/../y', RS256 => 'rsa', 300,
                   'https://agents.test', '/own' ],
                 [ '/ec', ES256 => 'ec', 300, 'agents', '/ec/' ],
                 [ '/oct', HS256 => 'oct', 300, 'agents', '/oct' ]);

    for my $case (@cases) {
        my ($path, $alg, $key, $ttl, $issuer, $audience) = @$case;
        my %ids;

        for my $user ('ann', 'eve "q" \\') {
            $t->mock->forget;
            my $since = int time;
            my ($run) = play($t, $path, as => { user => $user,
                                                company => 'globex' });
            is $run->{status}, 'completed', "$path for $user"
                or diag explain $run->{error};
            $t->wait_for(5, sub { @{$t->mock->requests} > 4 });

            my ($first, @others) = seen($t, (split /\?/, $path)[0]);
            is scalar(grep { $_ ne $first } @others), 0, 'one for all requests';
            like $first, qr/^Bearer [\w-]+\.[\w-]+\.[\w-]+$/, 'in its form';
            ok @others >= 3, 'discovery included';

            my ($token) = $jwt->verify($alg, $key, substr $first, 7);
            is_deeply $token->{header}, { alg => $alg, typ => 'JWT',
                                          kid => "kid-$key" },
                      'signed by the key';
            my $claims = $token->{payload};
            $ids{delete $claims->{jti}} = 1;
            my $iat = $claims->{iat};
            ok $iat >= $since - 1 && $iat <= time + 1, 'made just now';
            is_deeply $claims, { iss => $issuer, sub => $user,
                aud => $t->mock->url($audience), company_id => 'globex',
                scope => 'default', iat => $iat, nbf => $iat,
                exp => $iat + $ttl }, 'its claims';
        }
        is scalar keys %ids, 2, 'each has an id of its own';
    }
    return;
}


sub none {
    my ($t) = @_;
    for my $path ('/other', '/ownership', '/own/../other', '/own/%2e%2e/other',
                  '/own//x', '/OWN')
    {
        $t->mock->forget;
        play($t, $path);
        my @seen = grep { $_->{path} !~ /completions/ } @{$t->mock->requests};
        is scalar(grep { defined $_->{headers}{authorization}
                         || defined $_->{headers}{'x-api-key'} } @seen), 0,
           "$path: no token, no credential";
        ok scalar @seen, 'of requests that were made';
    }
    my @to_models = grep { $_ ne 'Bearer test-key' }
                    seen($t, '/v1/chat/completions');
    is "@to_models", '', 'models get none, either';
    return;
}


sub credentials {
    my ($t) = @_;
    $t->mock->forget;
    my ($run) = play($t, '/third/session');
    is $run->{status}, 'completed', 'a run' or diag explain $run->{error};
    $t->wait_for(5, sub { grep { $_->{method} eq 'DELETE' }
                          @{$t->mock->requests('/third')} });
    my @requests = @{$t->mock->requests('/third')};
    ok @requests >= 5, 'with all requests of a session';
    for my $request (@requests) {
        my $h = $request->{headers};
        my $what = $request->{json}{method} || $request->{method};
        is $h->{'x-api-key'}, $SECRET, "$what: of the environment";
        is $h->{authorization}, $LITERAL, 'as it stands';
        is scalar(grep { defined $h->{$_} } qw(x-port x-far x-safe)), 0,
           'no other';
    }

    my $answer = $t->post('/agents/conversations', $t->conversation_body(
        mcp_servers => [ { alias => 'm', url => 'http://10.0.0.1/' } ]));
    is $answer->{status}, 400, 'it opens no way to its host';
    return;
}


# It lives for 2 s, the run for more than 3.
sub renewed {
    my ($t) = @_;
    $t->mock->forget;
    my ($run) = play($t, '/brief', calls => [
        map { [ [ 'm-slow', { seconds => 1.6 } ] ] } 1 .. 2 ]);
    is $run->{status}, 'completed', 'a long run' or diag explain $run->{error};
    my @requests = @{$t->mock->requests('/brief')};
    my @tokens = $jwt->verify('ES256', 'ec',
        map { substr $_->{headers}{authorization}, 7 } @requests);
    my %ids = map { $_->{payload}{jti} => 1 } @tokens;
    ok keys %ids > 1, 'has more than one token';
    is scalar(grep { $requests[$_]{at} > $tokens[$_]{payload}{exp} }
              0 .. $#requests), 0, 'and shows none that is over';
    return;
}


sub tells {
    my ($req, $method) = @_;
    my $message = $req->{json};
    my $h = $req->{headers};
    return $mcp->({ %$req, rest => '' })
        unless ref $message eq 'HASH' && $message->{method} eq $method;
    return { json => { jsonrpc => '2.0', id => $message->{id}, result => {
        content => [ { type => 'text', text => 'you said '
            . join ' ', map { defined $_ ? $_ : () }
              @$h{qw(authorization x-api-key)} } ] } } };
}


sub refuses {
    my ($req, $method) = @_;
    my $message = $req->{json};
    return $mcp->({ %$req, rest => '' })
        unless ref $message eq 'HASH' && $message->{method} eq $method;
    return { json => { jsonrpc => '2.0', id => $message->{id}, error => {
        code => -32000, message => "no: $req->{headers}{authorization}" } } };
}


sub repeated {
    my ($t) = @_;
    my ($run, $messages) = play($t, '/own/tells');
    like $messages, qr/you said Bearer \*{20,}"/, 'in a result';
    ($run, $messages) = play($t, '/own/refuses');
    like $messages, qr/no: Bearer \*{20,}/, 'in an error';
    ($run, $messages) = play($t, '/third/tells');
    like $messages, qr/you said Basic \*{10,} \*{10,}"/, 'a credential';
    ($run) = play($t, '/own/closed');
    is $run->{error}{type}, 'AgentLoopMcpDiscoveryFailed', 'at discovery';
    like $run->{error}{message}, qr/no: Bearer \*{20,}/, 'told with asterisks';
    return;
}


sub nowhere {
    my ($t) = @_;
    my $prefix = $t->prefix;
    my %texts = map { $_ => AgentsTest::slurp($_) }
                grep { -f } glob "$prefix/logs/* $prefix/agents.db*";
    my $log = $texts{"$prefix/logs/error.log"};
    like $log, qr/\[debug\].*http proxy/, 'the log is that of debugging'
        if qx(@{[AgentsTest::binary()]} -V 2>&1) =~ /--with-debug/;
    like $texts{"$prefix/logs/mcp.log"}, qr/ \/_agents_mcp 200/,
         'requests are in the access log';
    my @secrets = ($SECRET, (split / /, $LITERAL)[1],
                   map { (split /\./)[2] } map { /^Bearer (.*)/ ? $1 : () }
                   map { defined $_ ? $_ : () } seen($t, '/own'));
    ok @secrets > 2, 'secrets to look for';
    for my $path (sort keys %texts) {
        is scalar(grep { index($texts{$path}, $_) >= 0 } @secrets), 0,
           'not in ' . ($path =~ m{([^/]+)$})[0];
        unlike $texts{$path}, qr/eyJ[\w-]{20,}\.eyJ/, 'nor a token';
    }
    return;
}
