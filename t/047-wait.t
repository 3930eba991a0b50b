# GET of a run with wait: it is answered when the run has changed, wherever
# that happens, and does not hold up anyone.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use AgentsTest;
use AgentsTest::Burst;
use AgentsTest::Workers;
use IO::Select;
use Time::HiRes qw(sleep time);

# what "at once" is allowed to be on a machine with other things to do; without
# wake-ups it would be half a second and more
my $SOON = 0.4;
my $MODEL = '/v1/chat/completions';
my ($t, $via, $one, $two);

for my $m (AgentsTest->matrix) {
    my $store = $m->{name};
    $t = AgentsTest->new(%$m, AgentsTest::Workers::conf(),
                         model => { title => 'A Title' })->start;
    $via = AgentsTest::Workers->new($t);
    ($one, $two) = ($via->pids)[0, -1];

    subtest "what is asked on $store" => \&asked;
    subtest "a run that has ended on $store" => \&ended;
    subtest "the time passes on $store" => \&passes;
    subtest "the end on $store" => \&end;
    subtest "each change on $store" => \&changes;
    subtest "a title on $store" => \&title;
    subtest "a new name on $store" => \&renamed;
    subtest "many on $store" => \&many;
    subtest "on another node on $store" => \&node;
    subtest "clients that leave on $store" => \&leaving;
    subtest "a reload on $store" => \&reload;
    $t->clean("$store: no error logged");
}

done_testing;


sub start {
    my ($text, %defaults) = @_;
    my $c = $t->conversation(%defaults);
    my $run = $via->to($one, sub { $t->run($c, $text) });
    return ($c, $run);
}


sub path { return "/agents/runs/$_[0]{id}?wait=" . (defined $_[1] ? $_[1] : 60) }


# A request of its own process, to that worker: gives a function that waits
# for [answer, when it came].
sub waiting {
    my ($pid, $path, %headers) = @_;
    my $method = delete $headers{method} || 'GET';
    pipe my $in, my $out or die "pipe: $!\n";
    my $child = fork;
    die "fork: $!\n" unless defined $child;

    if ($child == 0) {
        # a connection of its own, to the right worker
        my $bytes = request_bytes($t, $method, $path, undef,
                                  headers => \%headers);
        my $answer = $via->raw($pid, $bytes);
        print {$out} JSON::PP->new->encode([ $answer, time ]);
        close $out;
        require POSIX;
        POSIX::_exit(0);
    }
    close $out;
    return sub {
        local $/;
        my $text = <$in>;
        waitpid $child, 0;
        return @{JSON::PP->new->decode($text)};
    };
}


sub in_hand {
    my ($n) = @_;
    return $t->wait_for(5, sub {
        ($t->mock->stats->{active}{$MODEL} || 0) == $n;
    }) || die "the model was not asked\n";
}


# What comes after that is the only change to come.
sub running {
    my ($run) = @_;
    in_hand(1);
    return $t->wait_for(5, sub {
        $t->get("/agents/runs/$run->{id}")->{json}{status} eq 'running';
    }) || die "it does not run\n";
}


sub asked {
    my ($c, $run) = start('hello');
    $t->finished($run);
    for my $wait ('', 'x', '-1', '61', '1.5', '1s', '0x1', '%201') {
        my $answer = $t->get("/agents/runs/$run->{id}?wait=$wait");
        is $answer->{status}, 400, "wait=$wait";
        is $answer->{json}{errors}[0]{code}, 'invalid-request', 'its code';
        like $answer->{json}{errors}[0]{detail}, qr/wait/, 'names it';
    }
    for my $wait (0, 1, 60, '007') {
        is $t->get("/agents/runs/$run->{id}?wait=$wait")->{status}, 200,
           "wait=$wait";
    }
    is $t->get("/agents/runs/" . uuid() . '?wait=60')->{status}, 404,
       'no such run: at once';
    is $t->get("/agents/runs/$run->{id}?wait=60", user => 'bob')->{status},
       404, "another's: the same";
    return;
}


sub ended {
    my ($c, $run) = start('hello');
    $run = $t->finished($run);
    my $began = time;
    my $answer = $via->to($two, sub { $t->get(path($run)) });
    is_deeply $answer->{json}, $run, 'at once';
    my $tag = $answer->{headers}{etag};
    $answer = $t->get(path($run), headers => { 'If-None-Match' => $tag });
    is $answer->{status}, 304, 'also with its tag';
    ok !length($answer->{content} || ''), 'without a body';
    $answer = $t->request('HEAD', path($run), undef);
    is $answer->{status}, 200, 'HEAD';
    is $answer->{headers}{etag}, $tag, 'its tag';
    my $took = time - $began;
    ok $took < $SOON * 3, "$took s";
    return;
}


sub passes {
    my ($c, $run) = start(script({ text => 'x', delay => 3 }));
    in_hand(1);
    my $answer;
    $t->wait_for(5, sub {
        $answer = $t->get("/agents/runs/$run->{id}");
        return $answer->{json}{status} eq 'running';
    });
    my $tag = $answer->{headers}{etag};

    my $began = time;
    $answer = $via->to($two, sub { $t->get(path($run, 1)) });
    my $took = time - $began;
    is $answer->{status}, 200, 'as it was: 200';
    is $answer->{headers}{etag}, $tag, 'unchanged';
    ok $took > 0.9 && $took < 1.9, "after a second: $took s";

    $began = time;
    $answer = $via->to($one, sub {
        $t->get(path($run, 1), headers => { 'If-None-Match' => $tag });
    });
    $took = time - $began;
    is $answer->{status}, 304, 'with its tag: 304';
    is $answer->{headers}{etag}, $tag, 'which it has';
    ok $took > 0.9 && $took < 1.9, "after a second: $took s";

    $began = time;
    $answer = $t->get(path($run, 20), headers => { 'If-None-Match' => '"x"' });
    $took = time - $began;
    is $answer->{status}, 200, 'another tag: 200';
    ok $took < $SOON, "at once: $took s";
    $t->finished($run);
    return;
}


# On the owner and on another worker, with and without a tag, GET and HEAD.
sub end {
    my ($c, $run) = start(script({ text => 'x', delay => 1 }));
    running($run);
    my $tag = $t->get("/agents/runs/$run->{id}")->{headers}{etag};
    my @waiting = (waiting($one, path($run)), waiting($two, path($run)),
        waiting($two, path($run), 'If-None-Match' => $tag),
        waiting($two, path($run), method => 'HEAD'));
    my @got = map { [ $_->() ] } @waiting;
    $run = $t->finished($run);

    my $finished = $run->{finished_at};
    my ($h, $m, $s) = $finished =~ /T(\d+):(\d+):([\d.]+)Z/;
    for my $i (0 .. 3) {
        my ($answer, $at) = @{$got[$i]};
        my $name = ('its owner', 'another', 'with a tag', 'HEAD')[$i];
        is $answer->{status}, 200, "$name: 200";
        is_deeply $answer->{json}, $run, 'its end' if $i != 3;
        my $late = $at % 86400 + ($at - int $at) - ($h * 3600 + $m * 60 + $s);
        ok $late < $SOON, "at once: $late s";
    }
    is $got[3][0]{content}, '', 'HEAD has no body';
    return;
}


# One client follows a run by its tags, on the worker that is not the owner.
sub changes {
    my ($c, $run) = start(script(
        { tools => [ [ 'mcp-slow', { seconds => 0.5 }, 'a' ],
                     [ 'mcp-slow', { seconds => 1 }, 's' ] ], delay => 0.4 },
        { text => 'end', delay => 0.4 }), mcp => '');
    my ($tag, @seen) = ('"none"');

    my $began = time;
    while (time < $began + 20) {
        my $answer = $via->to($two, sub {
            $t->get(path($run), headers => { 'If-None-Match' => $tag });
        });
        last unless $answer->{status} == 200;
        isnt $answer->{headers}{etag}, $tag, 'something has changed';
        $tag = $answer->{headers}{etag};
        my $live = $answer->{json}{live}{messages};
        push @seen, join ' ', $answer->{json}{status},
                    map { scalar @{$_->{content_blocks}} } @$live;
        last if $answer->{json}{finished_at};
    }
    my $took = time - $began;
    my $seen = join ', ', @seen;
    $seen =~ s/^pending, //;
    $seen =~ s/^running, //;
    is $seen, 'running 2, running 2 1, running 2 2, completed', 'every step';
    ok $took < 1.8 + 5 * $SOON, "as they come: $took s";
    return;
}


sub title {
    my $c = $t->conversation(name => undef);
    my $run = $via->to($one, sub {
        $t->run($c, script({ text => 'x', delay => 2 }));
    });
    my ($tag, $answer) = ('"none"');
    my $began = time;
    $t->wait_for(10, sub {
        $answer = $via->to($two, sub {
            $t->get(path($run), headers => { 'If-None-Match' => $tag });
        });
        $tag = $answer->{headers}{etag};
        return defined $answer->{json}{live}{current_name};
    });
    is $answer->{json}{live}{current_name}, 'A Title', 'the title is seen';
    ok !$answer->{json}{finished_at}, 'while it runs';
    my $took = time - $began;
    ok $took < 1.8, "soon: $took s";
    $t->finished($run);
    return;
}


# A name that a client gives, by yet another request.
sub renamed {
    my ($c, $run) = start(script({ text => 'x', delay => 2 }));
    running($run);
    my $waiting = waiting($two, path($run));
    sleep 0.2;
    my $began = time;
    is $via->to($one, sub {
        $t->patch("/agents/conversations/$c->{id}", { name => 'New' });
    })->{status}, 200, 'renamed';
    my ($answer, $at) = $waiting->();
    is $answer->{json}{live}{current_name}, 'New', 'the new name is seen';
    my $took = $at - $began;
    ok $took < $SOON, "at once: $took s";
    $t->finished($run);
    return;
}


# Each hears of its own run, and of nothing else.
sub many {
    my @runs = map {
        my $c = $t->conversation;
        $t->run($c, script({ text => "x$_", delay => $_ <= 20 ? 1.5 : 60 }));
    } 1 .. 40;
    my @answers = burst($t, map {
        my $i = $_;
        map { [ 'GET', path($runs[$i], $i < 20 ? 20 : 3) ] } 1 .. 5;
    } 0 .. 39);
    my @wrong;

    # the change to "running" may come after the first read
    for my $i (0 .. $#answers) {
        my ($n, $json) = (int($i / 5), $answers[$i]{json});
        push @wrong, [ $n, $answers[$i]{status}, $json->{status} ]
            if $answers[$i]{status} != 200 || $json->{id} ne $runs[$n]{id}
               || $json->{status} !~ ($n < 20 ? qr/^(?:completed|running)$/
                                              : qr/^running$/);
    }
    is_deeply \@wrong, [], 'all are answered';
    $t->post("/agents/runs/$_->{id}/cancel") for @runs;
    $t->finished($_) for @runs;
    return;
}


# Another nginx on the same store: nothing but the store tells it.
sub node {
    my $other = AgentsTest->new(store => $t->store, mock => $t->mock)->start;
    my ($c, $run) = start(script({ text => 'x', delay => 1 }));
    in_hand(1);
    my $began = time;
    my $answer;
    $t->wait_for(10, sub {
        $answer = $other->get(path($run));
        return $answer->{json}{finished_at};
    });
    my $took = time - $began;
    is $answer->{json}{final_text}, 'x', 'its end';
    ok $took < 2.5, "within half a second, and what it takes: $took s";
    delete $other->{mock};
    $other->clean('the other node');
    return;
}


sub leaving {
    my ($c, $run) = start(script({ text => 'x', delay => 3 }));
    running($run);
    my @sockets = map {
        my $socket = $t->socket;
        syswrite $socket, request_bytes($t, 'GET', path($run));
        $socket;
    } 1 .. 100;
    sleep 0.3;
    close $_ for @sockets;
    ok $t->wait_for(5, sub { $t->access_log =~ /" 499 / }),
       'the server has noticed';
    is $t->finished($run)->{final_text}, 'x', 'the run goes on';
    return;
}


# A worker that is to go answers at once, and goes.
sub reload {
    my ($c, $run) = start(script({ text => 'x', delay => 60 }));
    running($run);
    my $tag = $t->get("/agents/runs/$run->{id}")->{headers}{etag};
    my @waiting = (waiting($one, path($run)), waiting($two, path($run)),
                   waiting($two, path($run), 'If-None-Match' => $tag));
    sleep 0.3;
    my $began = time;
    delete $t->{http_client};
    $t->reload;
    my @got = map { [ $_->() ] } @waiting;
    is_deeply [ map { $_->[0]{status} } @got ], [ 200, 200, 304 ],
              'all are answered';
    is $got[$_][0]{json}{status}, 'running', 'with the run' for 0, 1;
    my $took = (sort { $b <=> $a } map { $_->[1] } @got)[0] - $began;
    ok $took < 2.5, "at once: $took s";

    $t->post("/agents/runs/$run->{id}/cancel");
    is $t->finished($run)->{error}{type}, 'AgentLoopCancelled', 'it can end';
    ok $t->wait_for(20, sub {
        !grep { AgentsTest::alive($_) } $one, $two }), 'the workers are gone';
    return;
}
