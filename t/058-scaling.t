# conf-examples/scaling as it stands, but for addresses: a load balancer, two
# nodes, PgBouncer, PostgreSQL, each of which dies.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use AgentsTest;
use AgentsTest::Bouncer;
use AgentsTest::Burst;
use Time::HiRes qw(sleep time);

# what "within a second" is allowed to be on a machine with other things to do
my $SECOND = 1.5;
my $MODEL = '/v1/chat/completions';
my $FROM = "$AgentsTest::TOP/conf-examples/scaling";

plan skip_all => 'PostgreSQL is not installed'
    unless grep { $_ eq 'postgres' } AgentsTest->stores;
plan skip_all => 'PgBouncer is not installed'
    unless AgentsTest::Bouncer::available();

my $postgres = AgentsTest::Postgres->new;
my $store = $postgres->database;
my $bouncer = AgentsTest::Bouncer->new($postgres, $store,
                                       "$FROM/pgbouncer.ini");

# requests go to the balancer, SQL and agentsctl to PostgreSQL itself
my $t = AgentsTest->new(store => $store, postgres => $postgres);
$t->ctl('migrate');
my @nodes = map { AgentsTest->new(store => $store, postgres => $postgres,
    mock => $t->mock, tokens => $t->{tokens}) } 1 .. 2;
start($_, 'node.conf') for @nodes;
start($t, 'balancer.conf');
$t->ready;
$_->ready for @nodes;

subtest 'runs, by way of all of it' => \&runs;
subtest 'waiting, cancelling, deleting' => \&others;
subtest 'events' => \&events;
subtest 'a node is killed' => \&killed;
subtest 'PostgreSQL is restarted' => \&restarted;

like $t->ctl('check'), qr/no fault/, 'agentsctl check';
is $bouncer->log =~ /prepared statement/ ? 1 : 0, 0,
   'PgBouncer met no prepared statement';
for (@nodes) {
    delete $_->{mock};
    $_->allow(qr/agents store: PostgreSQL|store-unavailable/);
    ok $_->stop, 'a node stops';
    is_deeply [ $_->errors, $_->sanitizer_reports ], [], 'no error logged';
}
ok $t->stop, 'the balancer stops';

done_testing;


# Runs nginx with that file of the example.
sub start {
    my ($node, $file) = @_;
    my $prefix = $node->prefix;
    my $conf = AgentsTest::slurp("$FROM/$file");
    my %port = (8080 => $t->{port}, 8081 => $nodes[0]{port},
                8082 => $nodes[1]{port});

    if ($file eq 'node.conf') {
        change(\$conf, 'modules/ngx_http_agents_module.so',
               AgentsTest::module_path());
        change(\$conf, 'host=127.0.0.1 port=6432', "host=$bouncer->{dir}");
        change(\$conf, 'host=127.0.0.1 port=5432', "host=$postgres->{dir}");
        change(\$conf, 'user=agents dbname=agents',
               'user=postgres dbname=agents');
        # PgBouncer's name of it is agents, PostgreSQL's is another
        my ($name) = $store =~ /dbname=(\S+)/;
        change(\$conf, 'user=agents dbname=agents', "user=postgres dbname=$name");
        change(\$conf, '10.1.0.0/16', '127.0.0.0/8');
        change(\$conf, 'agents_lease       30s', 'agents_lease 3s');
        change(\$conf, 'logs/error.log notice', 'logs/error.log info');
        $port{8081} = $node->{port};
    }
    change(\$conf, 'worker_processes auto', 'worker_processes 2');
    $conf =~ s/127\.0\.0\.1:(808\d)/127.0.0.1:$port{$1}/g;
    $conf = "user root;\n$conf" if $> == 0;

    mkdir "$prefix/tmp";
    put("$prefix/conf/nginx.conf", $conf);
    put("$prefix/conf/models.conf", models());
    my ($status, $out) = $node->nginx;
    die "$file: $out\n" if $status != 0;
    $node->{started} = 1;
    $node->wait_for(10, sub { -s "$prefix/nginx.pid" })
        or die "$file: no pid\n";
    return;
}


sub change {
    my ($text, $from, $to) = @_;
    $$text =~ s/\Q$from\E/$to/ or die "not in the example: $from\n";
    return;
}


sub put {
    my ($path, $text) = @_;
    open my $out, '>', $path or die "$path: $!\n";
    print $out $text;
    close $out or die "$path: $!\n";
    return;
}


sub models {
    my $port = $t->mock->port;
    return <<"CONF";
agents_provider scripted {
    protocol openai;
    endpoint http://127.0.0.1:$port/v1;
    api_key  test-key;
}
agents_data_plane $AgentsTest::PLANE {
    cluster shared;
    model   $AgentsTest::MODEL provider=scripted id=gpt max_tokens=32000;
}
CONF
}


sub calls {
    my %times;
    $times{$_->{json}{params}{arguments}{text}}++
        for grep { ($_->{json}{method} || '') eq 'tools/call' }
            @{$t->mock->requests('/mcp')};
    return \%times;
}


# A run with a call of its own: what it is to end with is its label.
sub post {
    my ($label, $delay) = @_;
    my $c = $t->conversation(mcp => '');
    return { label => $label, c => $c, run => $t->run($c, script(
        { tools => [ [ 'mcp-echo', { text => $label } ] ], delay => $delay },
        { text => $label, delay => $delay })) };
}


sub all_end {
    my (@runs) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my @ends = map { $t->finished($_->{run}, 40) } @runs;
    is_deeply [ map { $_->{final_text} } @ends ],
              [ map { $_->{label} } @runs ], 'all runs end'
        or diag explain [ map { $_->{error} } @ends ];
    my $times = calls();
    # a kill just before a call leaves its outcome unknown, and the model is told
    is_deeply [ grep { my $n = $times->{$_->{label}} || 0;
                       $n > 1 || $n == 0 && !($_->{killed} && unknown($_)) }
                @runs ], [],
              'each call was made once';
    is_deeply [ map { scalar @{$t->messages($_->{c})} } @runs ],
              [ (4) x @runs ], 'all messages are there once';
    return;
}


# Whether the model was told that nobody knows what became of the call.
sub unknown {
    my ($run) = @_;
    return grep { /outcome of this call is unknown/ }
           map { $_->{content}[0]{text} } grep { $_->{type} eq 'tool_result' }
           map { @{$_->{content_blocks}} } @{$t->messages($run->{c})};
}


sub runs {
    my @runs = map { post("run $_", 0.02 * $_) } 1 .. 12;
    all_end(@runs);
    ok $_->access_log =~ m{"\w+ /agents/}, 'this node had some' for @nodes;
    return;
}


sub others {
    $t->mock->forget;
    my $c = $t->conversation;
    my $run = $t->run($c, script({ text => 'waited for', delay => 0.5 }));
    my $now;
    $t->wait_for(10, sub {
        $now = $t->get("/agents/runs/$run->{id}?wait=10")->{json};
        $now->{finished_at};
    });
    is $now->{final_text}, 'waited for', 'a long poll';

    for my $how (qw(cancel delete)) {
        $t->mock->forget;
        $c = $t->conversation;
        $run = $t->run($c, script({ text => 'x', delay => 30 }));
        $t->wait_for(10, sub { @{$t->mock->requests($MODEL)} })
            or die "the model was not asked\n";
        my $began = time;
        is $how eq 'cancel'
           ? $t->post("/agents/runs/$run->{id}/cancel")->{status}
           : $t->delete("/agents/conversations/$c->{id}")->{status},
           $how eq 'cancel' ? 202 : 204, $how;
        my $closed = $t->wait_for(5, sub { $t->mock->closed->[0] });
        ok $closed && $closed->{at} - $began < $SECOND,
           'the inference is cut off within a second';
        is $t->finished($run)->{error}{type}, 'AgentLoopCancelled', 'it ends'
            if $how eq 'cancel';
    }
    return;
}


# They come as they happen, whichever node is asked; deltas come on the run's own.
sub events {
    my $c = $t->conversation(mcp => '');
    my $run = $t->run($c, script(
        { tools => [ [ 'mcp-echo', { text => 'events' } ] ], delay => 0.3 },
        { text => 'end', delay => 2 }));
    my @sockets = map { $t->socket } 1 .. 4;
    syswrite $_, request_bytes($t, 'GET', "/agents/runs/$run->{id}/events")
        for @sockets;

    my @text = ('') x 4;
    for (0 .. 3) {
        while ($text[$_] !~ /"tool_result"/) {
            sysread $sockets[$_], $text[$_], 65536, length $text[$_] or last;
        }
    }
    is scalar(grep { /"tool_result"/ && !/^event: end/m } @text), 4,
       'turns come while the run goes on';
    for my $i (0 .. 3) {
        1 while sysread $sockets[$i], $text[$i], 65536, length $text[$i];
    }
    is scalar(grep { /^event: end\n.*"completed"/ms } @text), 4,
       'and the end, when it has ended';
    return;
}


# Its runs are taken over; who asks the balancer hardly notices.
sub killed {
    my @runs = map { post("killed $_", 0.2 + 0.1 * $_) } 1 .. 10;
    my ($node) = @nodes;
    my @pids = ($node->pid, $node->workers);
    kill 'KILL', @pids;
    my $began = time;
    $_->{killed} = 1 for @runs;

    my %got;
    while (time - $began < 1.5) {
        $got{$t->get("/agents/runs/$_->{run}{id}")->{status}}++ for @runs;
        sleep 0.05;
    }
    is_deeply [ keys %got ], [ 200 ], 'every GET is answered by the other'
        or diag explain \%got;
    push @runs, post('killed later', 0.1);
    all_end(@runs);
    note sprintf '%.1f s after its end', time - $began;

    $node->wait_for(5, sub { !grep { AgentsTest::alive($_) } @pids });
    unlink $node->prefix . '/nginx.pid';
    start($node, 'node.conf');
    $node->ready;
    is $t->finished(post('killed and back', 0)->{run})->{status}, 'completed',
       'it is back';
    return;
}


sub restarted {
    my @runs = map { post("restarted $_", 0.1 * $_) } 1 .. 10;
    $postgres->stop;
    my $answer = $t->get("/agents/runs/$runs[0]{run}{id}");
    is $answer->{status}, 503, 'while it is away: 503'
        or diag $answer->{content};
    is $answer->{headers}{'retry-after'}, 1, 'Retry-After';
    $postgres->start;
    my $began = time;
    for my $node (@nodes) {
        ok $t->wait_for(20, sub {
            $node->get("/agents/runs/$runs[0]{run}{id}")->{status} == 200 }),
           'it is back';
    }
    note sprintf '%.1f s later', time - $began;
    ok $t->wait_for(20, sub { eval { push @runs, post('restarted later', 0) } }),
       'runs are accepted';
    all_end(@runs);
    note sprintf '%.1f s later', time - $began;
    return;
}
