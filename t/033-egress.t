# Where a run may go: every spelling of an address that is not of the internet
# at large is refused at once; a name is looked up, each of its addresses is
# checked and a checked one is connected to, whatever the name says a moment
# later; nothing that a server answers leads elsewhere; and what is told of a
# failure is the same whatever there is inside the network.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use AgentsTest;
use AgentsTest::Dns;
use IO::Select;
use Time::HiRes qw(time);

my $mcp = AgentsTest::Mcp::handler();
my $ALLOW = 'agents_mcp_allow 127.0.0.0/8;';

# nobody may ever knock here: not allowed, and listening on the server's port
my $port = AgentsTest::free_port();
my $mock = AgentsTest::Server->start(
    port => $port,
    '/v1/chat/completions' => AgentsTest::Model::handler(),
    '/mcp'   => $mcp,
    '/away'  => sub { say_to($_[0], status => 307, headers => {
                      Location => "http://127.0.0.2:$port/mcp" }) },
    '/accel' => sub { say_to($_[0], json => {}, headers => {
                      'X-Accel-Redirect' => '/inside' }) },
);
my $trap = IO::Socket::INET->new(LocalAddr => '127.0.0.2',
    LocalPort => $port, Proto => 'tcp', Listen => 8) or die "trap: $!\n";
my $down = AgentsTest::free_port();

my @loop = ([ A => '127.0.0.1' ]);
my @trap = ([ A => '127.0.0.2' ]);
my $dns = AgentsTest::Dns->start(
    'good.test'   => [ @loop ],
    'alias.test'  => [ [ CNAME => 'good.test' ], @loop ],
    'mixed.test'  => [ [ A => '10.0.0.1' ], @trap, [ A => '192.168.7.7' ],
                       [ AAAA => '::1' ], [ AAAA => 'fe80::1' ], @loop,
                       [ A => '169.254.169.254' ] ],
    'rebind.test' => [ [ @loop ], [ @trap ] ],
    'pinned.test' => [ [ @loop ], [ @trap ] ],
    # what follows is denied, every bit of it
    'trap.test'   => [ @trap ],
    'ten.test'    => [ [ A => '10.0.0.1' ], [ A => '172.16.0.1' ] ],
    'meta.test'   => [ [ A => '169.254.169.254' ] ],
    'hidden.test' => [ [ CNAME => 'inner.test' ], @trap ],
    'six.test'    => [ [ AAAA => '::1' ], [ AAAA => 'fc00::1' ] ],
    'mapped.test' => [ [ AAAA => '::ffff:127.0.0.2' ] ],
    'nat64.test'  => [ [ AAAA => '64:ff9b::7f00:2' ] ],
    'ruled.test'  => [ [ AAAA => '64:ff9b::808:808' ] ],
    'many.test'   => [ map { [ A => "10.0.0.$_" ] } 1 .. 20 ],
    'blank.test'  => [ [ AAAA => '::1' ] ],
);

our $t = AgentsTest->new(
    mock => $mock,
    http => 'resolver ' . $dns->address . ' valid=1s; resolver_timeout 3s;',
    replace => { $ALLOW => 'agents_mcp_deny 10.0.0.0/8;'
                           . ' agents_mcp_deny *.denied.test;'
                           . ' agents_mcp_allow 127.0.0.1;'
                           . ' agents_mcp_deny 8.8.8.0/24;' },
    location => 'agents_discovery_timeout 20s;',
    server => 'location /inside { return 200 "{}"; }',
)->start;

subtest 'refused at once' => \&at_once;
subtest 'by name' => \&by_name;
subtest 'one answer for all that is denied' => \&denied;
subtest 'an address that was allowed is kept to' => \&pinned;
subtest 'a name that changes its mind' => \&rebinds;
subtest 'servers that lead elsewhere' => \&elsewhere;

ok !IO::Select->new($trap)->can_read(0), 'nobody came to what is denied';
$t->clean;

subtest 'an upstream of that name' => \&upstream;

done_testing;


sub say_to {
    my ($req, %answer) = @_;
    my $method = ref $req->{json} eq 'HASH' ? $req->{json}{method} : '';
    return $method eq 'tools/call' ? { %answer } : $mcp->($req);
}


sub servers { return [ { alias => 's', url => $_[0] } ] }


sub play {
    my ($url, @calls) = @_;
    my $c = $t->conversation(mcp_servers => servers($url));
    @calls = ([ 's-add', { a => 2, b => 3 } ]) unless @calls;
    my $run = $t->finished($t->run($c, script({ tools => \@calls },
                                              { text => 'done' })));
    my @results = map { $_->{content}[0]{text} }
                  grep { $_->{type} eq 'tool_result' }
                  map { @{$_->{content_blocks}} } @{$t->messages($c)};
    return ($run, @results);
}


sub at_once {
    my @denied = map { "http://$_/mcp" } qw(
        10.0.0.1 10.1 172.16.0.1 192.168.1.1 192.168.257 127.0.0.2 127.2
        0.0.0.0 0 100.64.0.1 169.254.169.254 2852039166 0xa9fea9fe
        0xA9.0xFE.0xa9.0xFe 0251.0376.0251.0376 169.254.43518 168.63.129.16
        192.0.0.192 192.0.2.1 198.18.0.1 203.0.113.9 224.0.0.1 240.0.0.1
        255.255.255.255 127.0.0.2. 017700000002 2130706434 0x7f000002
        [::] [::1] [0:0:0:0:0:0:0:1] [::127.0.0.2] [::ffff:127.0.0.2]
        [::FFFF:7f00:2] [::ffff:10.0.0.1] [64:ff9b::127.0.0.2] [64:ff9b:1::1]
        [64:FF9B::a9fe:a9fe] [2002:7f00:1::] [2001:0:7f00:1::1]
        [2001:db8::1] [fc00::1] [fd00:ec2::254] [FE80::1] [fec0::1]
        [ff02::1] [100::1] [3fff::1] [5f00::1]
        8.8.8.8 134744072 [::ffff:8.8.8.8] [64:ff9b::808:808]
        a.denied.test A.Denied.TEST. b.a.denied.test);
    my @malformed = ('ftp://good.test/', 'file:///etc/passwd', 'gopher://x/',
        'ws://good.test/', '//good.test/', 'good.test', 'http:/good.test/',
        'http://u@good.test/', 'http://u:p@good.test/',
        'http://good.test\\@127.0.0.2/', 'http://good.test#@127.0.0.2/',
        'http://%31%32%37.0.0.2/', 'http://127%2e0.0.2/',
        "http://\x{ff11}\x{ff12}\x{ff17}.0.0.2/", "http://\x{2460}0.0.0.1/",
        "http://good\x{3002}test/", 'http://good.test:0/',
        'http://good.test:65536/', 'http://good.test:x/', 'http://[::1/',
        'http://[fe80::1%25lo]/', 'http://127.0.0.2.3.4/', 'http://1.2.3.0x/',
        "http://good.test/\r\nX: y", 'http://good.test/ HTTP/1.1');

    for my $url (@denied, @malformed) {
        my $answer = $t->post('/agents/conversations',
            $t->conversation_body(mcp_servers => servers($url)));
        (my $name = $url) =~ s/[^\x21-\x7e]/?/g;
        is $answer->{status}, 400, $name or diag $answer->{content};
        is $answer->{json}{errors}[0]{pointer}, '/defaults/mcp_servers/0/url',
           'its pointer';
    }

    for (qw(localhost LOCALHOST. x.localhost)) {
        my ($run) = play("http://$_:$port/mcp");
        is $run->{status}, 'completed', "$_ is 127.0.0.1, which is allowed"
            or diag explain $run->{error};
    }
    return;
}


sub by_name {
    my %host = ('good.test' => 'good.test', 'alias.test' => 'alias.test',
                'mixed.test' => 'mixed.test', 'GOOD.Test.' => 'good.test.');

    for my $name (sort keys %host) {
        $mock->forget;
        my ($run, $text) = play("http://$name:$port/mcp");
        is $run->{status}, 'completed', $name or diag explain $run->{error};
        is $text, '5', 'the result';
        my %hosts = map { $_->{headers}{host} => 1 }
                    @{$mock->requests('/mcp')};
        is_deeply [ keys %hosts ], [ "$host{$name}:$port" ],
                  'the name stays in Host';
    }
    return;
}


sub denied {
    my @urls = map { "http://$_.test:$port/mcp" }
               qw(trap ten meta hidden six mapped nat64 ruled many blank
                  nothing);
    push @urls, "http://good.test:$down/mcp";   # allowed, but nobody is there
    my @runs = map { $t->run($t->conversation(mcp_servers => servers($_)),
                             'hello') } @urls;
    my %said;

    for my $i (0 .. $#urls) {
        my $run = $t->finished($runs[$i]);
        is $run->{error}{type}, 'AgentLoopMcpDiscoveryFailed', $urls[$i]
            or diag explain $run;
        push @{$said{$run->{error}{message}}}, $urls[$i];
    }
    is scalar keys %said, 1, 'all read the same' or diag explain \%said;
    unlike join(' ', keys %said), qr/\d|::|denied|rule|resolv/,
           'and tell nothing';
    $t->allow(qr/connect\(\) failed \(111: Connection refused\)/);
    return;
}


# The name points elsewhere before the calls are made.
sub pinned {
    my $url = "http://pinned.test:$port/mcp/session";
    my ($run, @results) = play($url, [ 's-slow', { seconds => 1.5 } ],
                               [ 's-add', { a => 1, b => 2 } ]);
    is $run->{status}, 'completed', 'the run ends' or diag explain $run;
    is_deeply \@results, [ 'slept', '3' ], 'with its results';
    is scalar(grep { $_ eq 'pinned.test A' } $dns->queries), 1,
       'the name was looked up once';
    return;
}


sub rebinds {
    my $url = "http://rebind.test:$port/mcp";
    my ($run) = play($url);
    is $run->{status}, 'completed', 'while it is good';

    # what the resolver was told holds for the rest of a second, and "valid"
    my $since = time;
    $t->wait_for(5, sub { time > $since + 2.1 });
    ($run) = play($url);
    is $run->{error}{type}, 'AgentLoopMcpDiscoveryFailed',
       'and not any more then';
    is scalar(grep { $_ eq 'rebind.test A' } $dns->queries), 2,
       'it was asked anew';
    return;
}


sub elsewhere {
    my ($run, $text) = play($mock->url('/away'));
    is $run->{status}, 'completed', 'a redirect is not followed';
    like $text, qr/307/, 'but told';

    ($run, $text) = play($mock->url('/accel'));
    is $run->{status}, 'completed', 'nor is an X-Accel-Redirect';
    like $text, qr/^The tool call failed: the server's answer is not valid/,
         'which is no answer';
    $t->allow(qr/rewrite or internal redirection cycle/);
    return;
}


# By the operator's own block: nothing is resolved, its servers may be inside.
sub upstream {
    my $u = AgentsTest->new(
        mock => $mock, workers => 1,
        http => 'resolver ' . $dns->address . ';'
                . ' upstream inside.test { server 127.0.0.1:%MOCK%;'
                . ' keepalive 4; }',
        replace => { $ALLOW => 'agents_mcp_deny *.far.test;' },
        mcp_location => 'proxy_set_header Connection "";')->start;
    local $t = $u;
    $mock->forget;

    my ($run, $text) = play('http://inside.test/mcp');
    is $run->{status}, 'completed', 'it is passed by its name'
        or diag explain $run->{error};
    is $text, '5', 'the result';
    my %hosts = map { $_->{headers}{host} => 1 } @{$mock->requests('/mcp')};
    is_deeply [ keys %hosts ], [ 'inside.test' ], 'Host is the name';
    is scalar(grep { /^inside/ } $dns->queries), 0, 'and nobody was asked';

    my $answer = $u->post('/agents/conversations',
        $u->conversation_body(mcp_servers => servers('http://127.0.0.1/')));
    is $answer->{status}, 400, 'its address is as far away as before';
    $u->clean;
    return;
}
