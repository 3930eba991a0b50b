# Events through what others have written, and through a store that goes and
# comes.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use AgentsTest;
use AgentsTest::Events;
use AgentsTest::Npm;

SKIP: {
    my $modules = AgentsTest::Npm::packages('eventsource' => '5.1.5');
    skip AgentsTest::Npm::why(), 1 unless defined $modules;
    subtest 'each event once' => sub { each_once($modules) };
}

SKIP: {
    skip 'PostgreSQL is not installed', 1
        unless AgentsTest::Postgres::available();
    subtest 'the store goes and comes' => \&goes;
}

done_testing;


sub script_path { return "$FindBin::Bin/lib/AgentsTest/events.js" }


# The client of browsers: the server is reloaded under it.
sub each_once {
    my ($modules) = @_;
    my $t = AgentsTest->new(http => 'agents_drain_timeout 1s;')->start;
    my $c = $t->conversation(mcp => '');
    my $run = $t->run($c, script(
        { text => 'first', tools => [ [ 'mcp-slow', { seconds => 1 } ] ] },
        { text => 'and then the end', pace => 0.5 }));
    open my $out, '-|', AgentsTest::Npm::node_binary(), script_path(),
        $modules, $t->base . "/agents/runs/$run->{id}/events", $t->token
        or die "node: $!\n";
    my (@events, $opened);
    my $reloaded = 0;

    while (defined(my $line = <$out>)) {
        my $event = JSON::PP::decode_json($line);
        if ($event->{event} eq 'open') {
            $opened = $event->{n};
            next;
        }
        push @events, $event;
        if ($event->{event} eq 'turn' && !$reloaded++) {
            $t->reload;
        }
    }
    close $out;
    is $?, 0, 'it ended well';
    is $opened, 2, 'it came twice';
    my $line = AgentsTest::Events::line(grep { $_->{event} !~ /delta|reset/ }
                                        @events);
    $line =~ s/^run:pending //;
    is $line, 'run:running turn:0 turn:1 turn:2 run:completed end:completed',
       'each event once, in order';
    $t->clean('no error logged');
    return;
}


sub goes {
    my $cluster = AgentsTest::Postgres->new;
    my $store = $cluster->database;
    my $t = AgentsTest->new(store => $store);
    $t->ctl('migrate');
    $t->start;
    $t->allow(qr/./);      # the store is away: the log says so
    my $run = $t->run($t->conversation, script({ text => 'x', delay => 4 }));
    my $events = AgentsTest::Events->new($t, $run);
    my @events = $events->until('run');
    push @events, $events->until('run')
        if $events[-1]{json}{status} eq 'pending';
    $cluster->stop;
    $t->wait_for(10, sub {
        $t->get("/agents/runs/$run->{id}")->{status} == 503 });
    my $late = AgentsTest::Events->new($t, $run);
    is $late->status, 503, 'who comes then is told';
    is $events->next(2), undef, 'who was there waits';
    $cluster->start;
    push @events, $events->all(40);
    like AgentsTest::Events::line(grep { $_->{event} ne 'delta' } @events),
         qr/turn:0 run:completed end:completed$/, 'and goes on';
    ok $events->ended, 'to the end';
    $t->clean('nginx stopped');
    return;
}
