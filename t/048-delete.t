# DELETE of a conversation: it is gone at once, whatever its run is doing, and
# nothing of it is left or comes back.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use AgentsTest;
use AgentsTest::Burst;
use AgentsTest::Workers;
use Time::HiRes qw(sleep time);

my $SECOND = 1.5;
my $MODEL = '/v1/chat/completions';
my ($t, $via, $one, $two);

for my $m (AgentsTest->matrix) {
    my $store = $m->{name};
    $t = AgentsTest->new(%$m, AgentsTest::Workers::conf())->start;
    $via = AgentsTest::Workers->new($t);
    ($one, $two) = ($via->pids)[0, -1];

    subtest "one at rest on $store" => \&rest;
    subtest "whose it is on $store" => \&whose;
    subtest "in an inference on $store" => \&inferring;
    subtest "in tool calls on $store" => \&calling;
    subtest "who waits for its run on $store" => \&waiting;
    subtest "on another node on $store" => \&node;
    subtest "at any moment on $store" => \&race;
    subtest "a long one on $store" => \&long;
    subtest "the workers on $store" => sub {
        is_deeply [ sort { $a <=> $b } $t->workers ], [ $via->pids ],
                  'are the same';
    };
    is_deeply rows(), {}, "$store: no row is left";
    $t->clean("$store: no error logged");
}

done_testing;


sub remove {
    my ($c, @o) = @_;
    return $t->delete("/agents/conversations/$c->{id}", @o);
}


# Everything of it gives what a conversation that never was gives.
sub gone {
    my ($c, @runs) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $path = "/agents/conversations/$c->{id}";
    my %status = (
        conversation => $t->get($path)->{status},
        messages => $t->get("$path/messages")->{status},
        again => remove($c)->{status},
        run => $t->post("$path/runs", $t->run_body($c, 'x'))->{status},
        map({ ("run $_->{id}" => $t->get("/agents/runs/$_->{id}")->{status},
               "cancel $_->{id}" =>
                   $t->post("/agents/runs/$_->{id}/cancel")->{status}) }
            @runs));
    is_deeply [ grep { $status{$_} != 404 } sort keys %status ], [],
              'all of it is a 404';
    return;
}


# What is in the tables, once nothing is under way: the conversations of these
# tests are all deleted.
sub rows {
    my %rows;
    for my $table (qw(conversations runs messages stops)) {
        my $sql = "SELECT COUNT(*) FROM agents_$table";
        my $n;
        $t->wait_for(5, sub {
            $n = $t->{postgres} ? psql($sql) : sqlite($sql);
            return $n == 0;
        });
        $rows{$table} = $n if $n != 0;
    }
    return \%rows;
}


sub psql {
    my ($sql) = @_;
    my ($conninfo) = $t->store =~ /^postgres:(.*)/;
    open my $in, '-|', 'psql', '-qAt', '-c', $sql, $conninfo or die "psql\n";
    chomp(my $value = <$in>);
    return $value;
}


sub sqlite {
    my ($sql) = @_;
    my ($file) = $t->store =~ /^sqlite:(.*)/;
    open my $in, '-|', 'sqlite3', '-cmd', '.timeout 10000', $file, $sql
        or die "sqlite3\n";
    chomp(my $value = <$in>);
    return $value;
}


sub start {
    my ($text, %defaults) = @_;
    $t->mock->forget;
    my $c = $t->conversation(%defaults);
    my $run = $via->to($one, sub { $t->run($c, $text) });
    return ($c, $run);
}


sub rest {
    my $c = $t->conversation;
    my $first = $t->finished($t->run($c, 'hello'));
    my $second = $t->finished($t->run($t->reread($c), 'hello'));
    my $answer = remove($c);
    is $answer->{status}, 204, 'deleted';
    ok !length($answer->{content} || ''), 'without a body';
    is $answer->{headers}{'content-type'}, undef, 'nor a type';
    gone($c, $first, $second);
    is_deeply $t->get('/agents/conversations')->{json}{records}, [],
              'it is in no list';
    return;
}


sub whose {
    my $c = $t->conversation;
    my $foreign = remove($c, user => 'bob');
    is $foreign->{status}, 404, "another's";
    my $none = remove({ id => uuid() });
    delete @{$_->{json}}{qw(instance log_id)} for $foreign, $none;
    is_deeply $foreign->{json}, $none->{json}, 'as if there were none';
    is remove($c, permissions => [ 'read' ])->{status}, 403, 'who only reads';
    is $t->reread($c)->{id}, $c->{id}, 'it is still there';
    is remove($c)->{status}, 204, 'its own user';
    gone($c);
    return;
}


# Deleted by the worker that does not own the run.
sub cut {
    my ($c, $run, $wire) = @_;
    my $began = time;
    is $via->to($two, sub { remove($c) })->{status}, 204, 'deleted';
    gone($c, $run);
    my $closed = $t->wait_for(5, sub {
        my ($it) = grep { index($_->{path}, $wire) == 0 } @{$t->mock->closed};
        return $it;
    });
    ok $closed, "the connection to $wire is closed" or return;
    my $took = $closed->{at} - $began;
    ok $took < $SECOND, "within a second: $took s";
    return;
}


sub inferring {
    my ($c, $run) = start(script({ text => 'x', delay => 30 }));
    $t->wait_for(10, sub { @{$t->mock->requests($MODEL)} });
    cut($c, $run, $MODEL);
    return;
}


sub calling {
    my ($c, $run) = start(script({ tools => [
        [ 'mcp-slow', { seconds => 30 } ],
        [ 'mcp-add', { a => 1, b => 2 } ] ] }), mcp => '');
    $t->wait_for(10, sub {
        @{$t->get("/agents/runs/$run->{id}")->{json}{live}{messages}} == 2;
    });
    cut($c, $run, '/mcp');
    return;
}


sub waiting {
    my ($c, $run) = start(script({ text => 'x', delay => 30 }));
    $t->wait_for(10, sub {
        $t->get("/agents/runs/$run->{id}")->{json}{status} eq 'running';
    });
    my $began = time;
    my $delete = "/agents/conversations/$c->{id}";
    my @answers = burst($t,
        map({ [ 'GET', "/agents/runs/$run->{id}?wait=20" ] } 1 .. 8),
        [ 'DELETE', $delete ]);
    is pop(@answers)->{status}, 204, 'deleted';
    is_deeply [ map { $_->{status} } @answers ], [ (404) x 8 ],
              'who waits hears of it';
    my $took = time - $began;
    ok $took < $SECOND, "at once: $took s";
    return;
}


sub node {
    my $other = AgentsTest->new(store => $t->store, mock => $t->mock)->start;
    my ($c, $run) = start(script({ text => 'x', delay => 30 }));
    $t->wait_for(10, sub { @{$t->mock->requests($MODEL)} });
    my $began = time;
    is $other->delete("/agents/conversations/$c->{id}")->{status}, 204,
       'deleted by the other';
    my $closed = $t->wait_for(5, sub { ($t->mock->closed->[0]) });
    ok $closed, 'the connection is closed' or return;
    my $took = $closed->{at} - $began;
    ok $took < $SECOND, "within a second: $took s";
    gone($c, $run);
    delete $other->{mock};
    $other->clean('the other node');
    return;
}


# Whatever step its run is in, and with another run to be accepted meanwhile.
sub race {
    my (@c, @bad);
    for my $i (1 .. 40) {
        my $c = $t->conversation(mcp => '');
        push @c, $c;
        my $late = 0.01 * ($i % 8);
        my $body = $t->run_body($c, script(
            { tools => [ [ 'mcp-echo', { text => 'e' } ] ], delay => $late },
            { text => 'end', delay => $late }));
        my $path = "/agents/conversations/$c->{id}";
        my ($accepted) = burst($t, [ 'POST', "$path/runs", $body ])
            if $i % 4;
        sleep 0.004 * ($i % 10);
        my @answers = burst($t, [ 'DELETE', $path ],
                            [ 'POST', "$path/runs", $t->run_body($c, 'x') ],
                            [ 'DELETE', $path ]);
        my @deleted = sort map { $_->{status} } @answers[0, 2];
        push @bad, "deleted: @deleted" if "@deleted" ne '204 404';
        push @bad, "run: $answers[1]{status}"
            if $answers[1]{status} !~ /^(?:202|404|409)$/;
    }
    is_deeply \@bad, [], 'each is deleted once';
    is_deeply [ grep { $t->get("/agents/conversations/$_->{id}")->{status}
                       != 404 } @c ], [], 'none is left';
    return;
}


# Other requests go on while it takes its time.
sub long {
    my $c = $t->conversation;
    my $n = 200_000;
    my ($company, $user) = ('acme', 'ann');
    my $columns = 'company_id, user_id, conversation_id, sequence_no, part,'
                  . ' turn_index, live, created_at, role, run_id, content';
    my $values = "'$company', '$user', '$c->{id}', n, 0, n, 0, 0, 'user', 'r',"
                 . " '[]'";
    if ($t->{postgres}) {
        psql("INSERT INTO agents_messages ($columns) SELECT $values"
             . " FROM generate_series(1, $n) n; SELECT 1");
    } else {
        sqlite("WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s"
               . " WHERE n < $n) INSERT INTO agents_messages ($columns)"
               . " SELECT $values FROM s RETURNING 1");
    }

    my $quick = $t->conversation;
    my $began = time;
    my ($delete, @others) = burst($t,
        [ 'DELETE', "/agents/conversations/$c->{id}" ],
        map { [ 'GET', "/agents/conversations/$quick->{id}" ] } 1 .. 20);
    is $delete->{status}, 204, 'deleted';
    is_deeply [ grep { $_->{status} != 200 } @others ], [], 'others are read';
    note sprintf '%d messages in %.2f s', $n, time - $began;
    gone($c);
    is remove($quick)->{status}, 204, 'the other one, too';
    return;
}
