# https to MCP servers, by the operator's own proxy_ssl settings: while a
# checked address is connected to, the name is what SNI says and what the
# certificate is held to; a server whose certificate is of another name or
# another authority is not discovered, and is shown nothing.  One line of the
# access log for each request.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use AgentsTest;
use AgentsTest::Dns;
use AgentsTest::Jwt;

plan skip_all => 'no openssl here' if system 'openssl version >/dev/null 2>&1';

my $tls = AgentsTest::free_port();
my @loop = ([ A => '10.9.8.7' ], [ A => '127.0.0.1' ]);
my $dns = AgentsTest::Dns->start(
    map { ("$_.test" => \@loop) } qw(good wrong stranger both plain));

# the name that is asked for => whose certificate it shows
my %shows = ('good.test' => 'good', 'wrong.test' => 'good',
             'stranger.test' => 'stranger', 'both.test' => 'both',
             'inside.test' => 'inside');
my $servers = join "\n", map { <<"CONF" } sort keys %shows;
    server {
        listen 127.0.0.1:$tls ssl;
        server_name $_;
        access_log off;
        ssl_certificate %PREFIX%/$shows{$_}.pem;
        ssl_certificate_key %PREFIX%/$shows{$_}.key;
        location / {
            proxy_pass http://127.0.0.1:%MOCK%;
            proxy_set_header Host \$http_host;
            proxy_set_header X-Sni \$ssl_server_name;
        }
    }
CONF

our $t = AgentsTest->new(
    http => 'resolver ' . $dns->address . " ipv6=off;\n" . <<"CONF" . $servers,
    upstream inside.test { server 127.0.0.1:$tls; keepalive 4; }
    log_format mcp '\$agents_run_id|\$agents_mcp_alias|\$agents_mcp_host'
                   '|\$agents_mcp_tool|\$request_method|\$status';
CONF
    location => join("\n", "agents_mcp_credential c host=https://both.test"
        . ' header=X-Key value=from-the-operator;', map {
        "agents_mcp_first_party https://$_.test:$tls/mcp"
        . ' key=file:%PREFIX%/key.json;' } qw(good wrong stranger)),
    mcp_location => <<'CONF');
            proxy_set_header Connection "";
            proxy_ssl_name $agents_mcp_server_name;
            proxy_ssl_server_name on;
            proxy_ssl_verify on;
            proxy_ssl_trusted_certificate %PREFIX%/ca.pem;
            log_subrequest on;
            access_log logs/mcp.log mcp;
CONF

certificates();
$t->start;

subtest 'the right certificate' => \&right;
subtest 'by an upstream of that name' => \&inside;
subtest 'a name that changes its case' => \&other_case;
subtest 'wrong certificates' => \&wrong;
subtest 'a line for each request' => \&lines;
$t->clean;
done_testing;


sub openssl {
    my ($command) = @_;
    my $dir = $t->prefix;
    my $out = qx(cd $dir && openssl $command 2>&1);
    die "openssl $command: $out" if $?;
    return;
}


sub certificates {
    my $new = 'req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -x509'
              . ' -days 2';
    openssl("$new -keyout $_.key -out $_.pem -subj /CN=$_") for qw(ca other);

    my %by = (good => 'ca', both => 'ca', inside => 'ca',
              stranger => 'other');
    for my $name (sort keys %by) {
        openssl("$new -CA $by{$name}.pem -CAkey $by{$name}.key"
                . " -keyout $name.key -out $name.pem -subj /CN=$name"
                . " -addext subjectAltName=DNS:$name.test"
                . ' -addext basicConstraints=critical,CA:FALSE');
    }
    my $jwt = AgentsTest::Jwt->new(key => 'P-256');
    open my $out, '>', $t->prefix . '/key.json' or die "key: $!\n";
    print $out JSON::PP::encode_json($jwt->private('key'));
    close $out or die "key: $!\n";
    return;
}


sub play {
    my ($url) = @_;
    $t->mock->forget;
    my $c = $t->conversation(mcp_servers => [ { alias => 'm', url => $url } ]);
    my $run = $t->finished($t->run($c, script(
        { tools => [ [ 'm-add', { a => 2, b => 3 } ] ] }, { text => 'done' })));
    return ($run, @{$t->mock->requests('/mcp')});
}


sub shown {
    my ($key, @requests) = @_;
    my %values = map { defined $_->{headers}{$key} ? $_->{headers}{$key}
                                                   : '-' => 1 } @requests;
    return [ sort keys %values ];
}


sub right {
    my ($run, @requests) = play("https://good.test:$tls/mcp");
    is $run->{status}, 'completed', 'a run' or diag explain $run->{error};
    is_deeply shown('x-sni', @requests), [ 'good.test' ], 'SNI is the name';
    is_deeply shown('host', @requests), [ "good.test:$tls" ], 'so is Host';
    is scalar(grep { /^Bearer ey/ } @{shown('authorization', @requests)}), 1,
       'and it gets its token';

    ($run, @requests) = play("https://both.test:$tls/mcp");
    is $run->{status}, 'completed', 'one that is not first-party';
    is_deeply shown('authorization', @requests), [ '-' ], 'gets none';
    is_deeply shown('x-key', @requests), [ 'from-the-operator' ],
              'but the credential for its host';
    return;
}


sub inside {
    my ($run, @requests) = play('https://inside.test/mcp');
    is $run->{status}, 'completed', 'a run' or diag explain $run->{error};
    is_deeply shown('x-sni', @requests), [ 'inside.test' ], 'SNI is the name';
    return;
}


sub other_case {
    my ($run, @requests) = play("https://GOOD.test.:$tls/mcp");
    is $run->{status}, 'completed', 'is the same' or diag explain $run->{error};
    is_deeply shown('x-sni', @requests), [ 'good.test' ], 'without its dot';
    return;
}


sub wrong {
    $t->allow(qr/upstream SSL certificate (?:verify error|does not match)/);
    my %said;
    for my $name (qw(wrong stranger)) {
        my ($run, @requests) = play("https://$name.test:$tls/mcp");
        is $run->{error}{type}, 'AgentLoopMcpDiscoveryFailed', $name
            or diag explain $run;
        is scalar @requests, 0, 'no request was shown to it';
        $said{$run->{error}{message}} = 1;
    }
    my ($run) = play("https://plain.test:$t->{port}/mcp");
    $said{$run->{error}{message}} = 1;
    $t->allow(qr/SSL_do_handshake\(\) failed/);
    ($run) = play("https://nothing.test/mcp");
    $said{$run->{error}{message}} = 1;
    is scalar keys %said, 1, 'the caller is told no more than of no server'
        or diag explain \%said;
    return;
}


sub lines {
    my ($run, @requests) = play("https://good.test:$tls/mcp/session");
    $t->wait_for(5, sub { grep { $_->{method} eq 'DELETE' }
                          @{$t->mock->requests('/mcp')} });
    my @seen = @{$t->mock->requests('/mcp')};
    my @lines;
    $t->wait_for(5, sub {
        @lines = grep { /^$run->{id}\|/ } split /\n/,
                 AgentsTest::slurp($t->prefix . '/logs/mcp.log');
        return @lines >= @seen;
    });
    is scalar @lines, scalar @seen, 'as many as the server saw'
        or diag join "\n", @lines;
    is scalar(grep { /\|m\|good\.test:$tls\|add\|POST\|200$/ } @lines), 1,
       'one with the tool that was called';
    is scalar(grep { /\|m\|good\.test:$tls\|/ } @lines), scalar @lines,
       'all with alias and host';
    return;
}
