# Too few connections, descriptors or permits for all that is to be asked of MCP
# servers: that is not the servers' fault, so requests wait for theirs, as long
# as there is time, and no call is made twice.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use AgentsTest;
use Time::HiRes qw(time);

my $SERVERS = 16;
my $CALLS = 24;

# A server that takes some time for everything.
my $mcp = AgentsTest::Mcp::handler();
my %slowly = (handlers => { '/slowly' => sub {
    my $answer = $mcp->(@_);
    return { %$answer, delay => $answer->{delay} || 0.15 };
} });

for my $store (AgentsTest->stores) {
    subtest "few connections with $store" => \&connections, $store;
    subtest "few descriptors with $store" => \&descriptors, $store;
}
subtest 'limits of the operator' => \&limits;
subtest 'no time left' => \&no_time;
subtest 'a server that is down' => \&down;

done_testing;


# A run whose servers are all asked at the same time, then called so.
sub crowd {
    my ($t, @urls) = @_;
    my @aliases = map { chr(ord('a') + $_) } 0 .. $#urls;
    my $c = $t->conversation(name => 'x', mcp_servers => [
        map { { alias => $aliases[$_], url => $urls[$_] } } 0 .. $#urls ]);
    $t->mock->forget;
    my $run = $t->run($c, script(
        { tools => [ map { [ $aliases[$_ % @aliases] . '-slow',
                             { seconds => 0.05, n => $_ } ] } 1 .. $CALLS ] },
        { text => 'end' }));
    # this client's connection can be closed, too, to have one more
    ok $t->wait_for(60, sub {
        my $now = $t->get("/agents/runs/$run->{id}");
        $run = $now->{json} if $now->{status} == 200;
        return $run->{finished_at};
    }), 'the run ends';
    is $run->{status}, 'completed', 'the run completes'
        or diag explain $run->{error};

    my @results = grep { $_->{type} eq 'tool_result' }
                  map { @{$_->{content_blocks}} } @{$t->messages($c)};
    is_deeply [ map { $_->{content}[0]{text} } @results ],
              [ ('slept') x $CALLS ], 'each call has its result';
    is_deeply [ sort { $a <=> $b } map { $_->{params}{arguments}{n} }
                grep { ($_->{method} || '') eq 'tools/call' }
                map { $_->{json} || () } @{$t->mock->requests} ],
              [ 1 .. $CALLS ], 'no call was made twice';
    return $run;
}


sub connections {
    my ($store) = @_;
    my $t = AgentsTest->new(store => $store, workers => 1, %slowly, replace => {
        'worker_connections 4096' => 'worker_connections 24' })->start;
    crowd($t, map { $t->mock->url("/slowly/modern?$_") } 1 .. $SERVERS);
    like $t->log, qr/worker_connections are not enough/, 'they were too few';
    $t->allow(qr/worker_connections are not enough/);
    $t->clean;
    return;
}


# A few more than what the worker has open anyway.
sub descriptors {
    my ($store) = @_;
    my $t = AgentsTest->new(store => $store, workers => 1,
                            %slowly)->start;
    crowd($t, $t->mcp);
    my ($worker) = $t->workers;
    my $open = () = glob "/proc/$worker/fd/*";
    $t->{main} = 'worker_rlimit_nofile ' . ($open + 6) . ';';
    ok $t->reload(gone => 1), "a limit near the $open that are open";

    crowd($t, map { $t->mock->url("/slowly?$_") } 1 .. $SERVERS);
    like $t->log, qr/Too many open files/, 'they were too few';
    $t->allow(qr/Too many open files/);
    $t->clean;
    return;
}


# A location of its own, so that one can be refused there.
sub location {
    my ($more) = @_;
    return 'location /_limited { internal; ' . $more . '
        proxy_pass $agents_mcp_upstream;
        proxy_set_header Host $agents_mcp_host;
        proxy_http_version 1.1;
    }';
}


sub limits {
    my $t = AgentsTest->new(workers => 1, http => '
            limit_conn_zone $agents_mcp_server_name zone=conn:64k;
            limit_req_zone $agents_mcp_server_name zone=req:64k rate=50r/s;
            upstream few.test { server 127.0.0.1:%MOCK% max_conns=2; }',
        replace => { 'agents_mcp_location /_agents_mcp' =>
                     'agents_mcp_location /_limited' },
        server => location('limit_conn conn 4;
                            limit_req zone=req burst=12 nodelay;'),
        )->start;

    crowd($t, $t->mcp);
    like $t->log, qr/limiting connections by zone/, 'limit_conn was reached';
    like $t->log, qr/limiting requests, excess/, 'and limit_req';
    crowd($t, 'http://few.test/mcp/modern');
    like $t->log, qr/no live upstreams/, 'and max_conns';
    $t->allow(qr/no live upstreams|limiting (?:connections|requests)/);
    $t->clean;
    return;
}


sub no_time {
    my $t = AgentsTest->new(workers => 1,
        location => 'agents_discovery_timeout 1s; agents_tool_timeout 3s;',
        http => 'upstream one.test { server 127.0.0.1:%MOCK% max_conns=1; }',
        )->start;
    my $conversation = sub {
        return $t->conversation(name => 'x', mcp_servers => [
            { alias => 'mcp', url => "http://one.test/mcp$_[0]" } ]);
    };
    my $c = $conversation->('/hang-call');
    my $run = $t->run($c, script({ tools => [ map { [ 'mcp-add',
        { a => 1, b => $_ } ] } 1, 2 ] }, { text => 'end' }));
    ok $t->wait_for(5, sub { grep { $_->{json}{method} eq 'tools/call' }
                             @{$t->mock->requests('/mcp')} }),
       'a call that takes all there is';

    my $other = $t->finished($t->run($conversation->(''), 'x'));
    is $other->{error}{title}, 'MCP Discovery Failed', 'a discovery meanwhile';
    like $other->{error}{message}, qr/could not be made/, '    says why';

    is $t->finished($run)->{final_text}, 'end', 'the run with the call';
    my @texts = sort map { $_->{is_error} ? $_->{content}[0]{text} : () }
                grep { $_->{type} eq 'tool_result' }
                map { @{$_->{content_blocks}} } @{$t->messages($c)};
    like $texts[0], qr/could not be made\.$/, '    that was not made';
    like $texts[1], qr/did not answer in time; it may have taken effect/,
         '    and one that was';
    $t->allow(qr/no live upstreams|upstream timed out/);
    $t->clean;
    return;
}


# That is the server's, and said at once.
sub down {
    my $t = AgentsTest->new(workers => 1)->start;
    my $port = AgentsTest::free_port();
    my $c = $t->conversation(name => 'x', mcp_servers => [
        { alias => 'mcp', url => "http://127.0.0.1:$port/mcp" } ]);
    my $begin = time;
    my $run = $t->finished($t->run($c, 'x'));
    like $run->{error}{message}, qr/cannot be reached/, 'it is said';
    cmp_ok time - $begin, '<', 10, 'without another attempt';
    unlike $t->log, qr/is tried again/, 'in the log, too';
    $t->allow(qr/Connection refused/);
    $t->clean;
    return;
}
