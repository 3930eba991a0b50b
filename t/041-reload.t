# nginx -s reload, and a stop and a start, with runs in flight: every run
# completes, and every call is made once.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use AgentsTest;
use HTTP::Tiny;
use Time::HiRes qw(sleep);

for my $m (AgentsTest->matrix) {
    my $store = $m->{name};
    my $t = AgentsTest->new(%$m)->start;
    # a connection that is kept may be one that a reload closes
    $t->{http_client} = HTTP::Tiny->new(keep_alive => 0, timeout => 70);
    subtest "reload on $store" => sub { reload($t) };
    subtest "two reloads on $store" => sub { twice($t) };
    subtest "a body that is read on $store" => sub { reading($t) };
    subtest "stop and start on $store" => sub { restart($t) };
    $t->clean("$store: no error logged");

    $t = AgentsTest->new(%$m, http => 'agents_drain_timeout 300ms;')->start;
    subtest "a step that takes too long on $store" => sub { late($t) };
    $t->clean("$store: no error logged, either");
}

done_testing;


# Runs of two calls each, the model taking a second in between.
sub start_runs {
    my ($t, $n) = @_;
    return map {
        my $c = $t->conversation(name => "run $_", mcp => '');
        [ $c, $t->run($c, script(
            { tools => [ [ 'mcp-echo', { text => "a$_" } ],
                         [ 'mcp-slow', { seconds => 0.3 } ] ],
              delay => 0.2 + $_ / 20 },
            { tools => [ [ 'mcp-add', { a => $_, b => 0 } ] ], delay => 0.6 },
            { tool_results => 1, delay => 0.6 })) ];
    } 1 .. $n;
}


sub all_complete {
    my ($t, @started) = @_;
    my (@wrong, @bad);

    for my $i (0 .. $#started) {
        my ($c, $run) = @{$started[$i]};
        $run = $t->finished($run, 40);
        push @wrong, $run->{error} || $run->{status}
            if $run->{status} ne 'completed'
               || $run->{final_text} ne $i + 1;
        my $messages = $t->messages($c);
        push @bad, $messages
            if join(' ', map { $_->{role} } @$messages)
                   ne 'user assistant tool assistant tool assistant'
               || $t->reread($c)->{version} != 6
               || grep { $_->{is_error} }
                  map { @{$_->{content_blocks}} } @$messages;
    }
    is_deeply \@wrong, [], 'every run completes';
    is_deeply \@bad, [], 'with all its turns, and no failed call';
    return;
}


sub called_once {
    my ($t, $n) = @_;
    my %times;
    $times{join ' ', %{$_->{json}{params}{arguments}}}++
        for grep { ($_->{json}{method} || '') eq 'tools/call'
                   && $_->{json}{params}{name} eq 'echo' }
            @{$t->mock->requests('/mcp')};
    is scalar keys %times, $n, 'every call was made';
    is_deeply [ grep { $times{$_} != 1 } keys %times ], [], 'once';
    return;
}


sub gone {
    my ($t, @old) = @_;
    return ok $t->wait_for(20, sub {
        !grep { AgentsTest::alive($_) } @old }), 'the old workers are gone';
}


sub reload {
    my ($t) = @_;
    $t->mock->forget;
    my @old = $t->workers;
    my @started = start_runs($t, 20);
    ok $t->reload, 'reload';

    my $c = $t->conversation;
    is $t->finished($t->run($c, 'meanwhile'))->{final_text},
       'echo: meanwhile', 'new runs are taken meanwhile';

    all_complete($t, @started);
    called_once($t, 20);
    gone($t, @old);
    return;
}


sub twice {
    my ($t) = @_;
    $t->mock->forget;
    my @started = start_runs($t, 8);
    my @old = $t->workers;
    $t->reload or die "no reload\n";
    push @old, $t->workers;
    sleep 0.4;
    $t->reload or die "no reload\n";
    all_complete($t, @started);
    called_once($t, 8);
    my %new = map { $_ => 1 } ($t->workers)[-$t->{workers} .. -1];
    gone($t, grep { !$new{$_} } @old);
    return;
}


# A request that waits for the thread pool has no timer of its own: its worker
# left without an answer.
sub reading {
    my ($t) = @_;
    my @old = $t->workers;
    my $body = '{"defaults":{"output_format_schema":{"enum":['
               . join(',', ('0.125') x 1_500_000) . ']}}}';
    my $socket = $t->socket;

    print {$socket} "POST /agents/conversations HTTP/1.1\r\nHost: test\r\n"
        . 'Authorization: Bearer ' . $t->token . "\r\n"
        . "Content-Type: application/json\r\nConnection: close\r\n"
        . 'Content-Length: ' . length($body) . "\r\n\r\n$body";
    $socket->flush;
    kill 'HUP', $t->pid;

    my $answer = do { local $/ = undef; readline $socket };
    like $answer, qr{^HTTP/1\.1 400 .*"/defaults/model"}s,
         'a body that is read when its worker is to leave is answered';
    gone($t, @old);
    return;
}


# An accepted run is durable.
sub restart {
    my ($t) = @_;
    $t->mock->forget;
    my @started = start_runs($t, 8);
    ok $t->stop('QUIT'), 'nginx stops';
    $t->start;
    all_complete($t, @started);
    called_once($t, 8);
    return;
}


# The model is told that nobody knows what became of its call.
sub late {
    my ($t) = @_;
    my $c = $t->conversation(name => 'late', mcp => '');
    my $run = $t->run($c, script(
        { tools => [ [ 'mcp-slow', { seconds => 3 } ] ] },
        { tool_results => 1 }));
    my $calls = sub { scalar grep { ($_->{json}{method} || '') eq 'tools/call' }
                      @{$t->mock->requests('/mcp')} };
    ok $t->wait_for(10, sub { $calls->() }), 'a call is under way';
    ok $t->reload, 'reloaded';

    $run = $t->finished($run);
    is $run->{status}, 'completed', 'the run completes';
    my ($result) = map { @{$_->{content_blocks}} }
                   grep { $_->{role} eq 'tool' } @{$t->messages($c)};
    ok $result->{is_error}, 'the call has failed';
    like $result->{content}[0]{text}, qr/outcome of this call is unknown/,
         'in a manner that says so';
    is $calls->(), 1, 'it was made once';
    like $t->log, qr/\[warn\] [^\n]*\Qagents_drain_timeout is over: the step in \E
                    \Qhand is cut off, agents run: $run->{id}\E/x,
         'and the error log names the run';
    return;
}
