# Many writers at one instant, on every number of workers: one of them wins,
# and those who read meanwhile see all of a run or nothing.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use AgentsTest;
use AgentsTest::Burst;

my $WRITERS = 50;

my @matrix = AgentsTest->matrix(1, 2, 4);
my ($most) = sort { $b <=> $a } map { $_->{workers} } @matrix;

for my $m (@matrix) {
    # reuseport spreads connections over the workers by itself
    my $t = AgentsTest->new(%$m,
        http => "    log_format pids '\$pid \$request_method \$status';\n"
                . "    access_log logs/pids.log pids;\n",
        replace => { "listen 127.0.0.1:%PORT%;" =>
                     "listen 127.0.0.1:%PORT% reuseport backlog=511;" });
    $t->start;
    $t->wait_for(10, sub { $t->workers == $m->{workers} });

    subtest "one version on $m->{name}" => sub { one_version($t) };
    subtest "one id on $m->{name}" => sub { one_id($t) };
    others($t, $m->{name}) if $m->{workers} == $most;
    $t->clean("$m->{name}: no error logged");
}

done_testing;


sub others {
    my ($t, $on) = @_;
    subtest "one id, two requests, on $on" => sub { two_requests($t) };
    subtest "one answer on $on" => sub { one_answer($t) };
    subtest "a conversation each on $on" => sub { many($t) };
    subtest "all or nothing on $on" => sub { all_or_nothing($t) };
    return;
}


sub runs_of { return "/agents/conversations/$_[0]{id}/runs" }

sub statuses { return join ' ', sort map { $_->{status} } @_ }


# As many requests as writers, each made by the code: their answers.
sub writers {
    my ($t, $c, $body) = @_;
    return burst($t, map { [ 'POST', runs_of($c), $body->($_) ] }
                     1 .. $WRITERS);
}


# One of the answers is a 202, all others are conflicts.
sub won {
    my ($version, @answers) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my @won = grep { $_->{status} == 202 } @answers;
    my @lost = grep { $_->{status} == 409 } @answers;
    is scalar @won, 1, 'one is accepted' or diag statuses(@answers);
    is scalar @lost, $WRITERS - 1, 'all others are conflicts';
    is scalar(grep { $_->{json}{type} !~ m{/errors/version-conflict$} }
              @lost), 0, 'by their type';

    # a late one may find the run at its end already
    my ($before, $after) = (0, 0);
    for my $answer (map { $_->{json} } @lost) {
        next unless defined $answer->{current_version};
        if ($answer->{current_version} == $version) {
            $before++ if ($answer->{active_run_id} || '') eq $won[0]{json}{id};
        } else {
            $after++;
        }
    }
    is $before + $after, $WRITERS - 1, 'each with the version, and the id of '
                                       . 'the run that won';
    ok $before, 'while it ran';
    is scalar(grep { ($_->{json}{active_run_id} ? 1 : 0)
                     != (($_->{headers}{'retry-after'} || '') eq '1' ? 1 : 0) }
              @lost), 0, 'Retry-After with that id alone';
    return $won[0]{json};
}


sub one_version {
    my ($t) = @_;
    my $c = $t->conversation;
    my $run = won(0, writers($t, $c, sub {
        $t->run_body($c, script({ text => "n$_[0]", delay => 0.5 }));
    }));

    is $t->finished($run)->{status}, 'completed', 'it completes';
    is_deeply [ map { $_->{run_id} } @{$t->messages($c)} ],
              [ $run->{id}, $run->{id} ], 'and is alone in the messages';
    is workers_used($t, 'POST'), $t->{workers}, 'all workers took part';
    return;
}


sub workers_used {
    my ($t, $what) = @_;
    my %pids;
    for (split /\n/, AgentsTest::slurp("$t->{prefix}/logs/pids.log")) {
        $pids{$1}++ if /^(\d+) $what/;
    }
    return scalar keys %pids;
}


sub one_id {
    my ($t) = @_;
    my $c = $t->conversation;
    my $body = $t->run_body($c, script({ text => 'once', delay => 0.2 }));
    $t->mock->forget;
    my @answers = writers($t, $c, sub { $body });

    is scalar(grep { $_->{status} == 202 } @answers), $WRITERS,
       'all are accepted' or diag statuses(@answers);
    my %ids = map { $_->{json}{id} => 1 } grep { $_->{json} } @answers;
    is scalar keys %ids, 1, 'as one run';
    is scalar(grep { ($_->{headers}{'idempotency-replayed'} || '') eq 'true' }
              @answers), $WRITERS - 1, 'all but one are replays';

    is $t->finished((keys %ids)[0])->{final_text}, 'once', 'it completes';
    is $t->reread($c)->{version}, 2, 'once';
    is scalar(grep { $_->{path} =~ /completions/ } @{$t->mock->requests}), 1,
       'the model was asked once';
    return;
}


# One id in two cases of letters, for two different texts.
sub two_requests {
    my ($t) = @_;
    my $c = $t->conversation;
    my $body = $t->run_body($c, '');
    my @answers = writers($t, $c, sub {
        my $odd = $_[0] % 2;
        return { %$body,
                 client_op_id => $odd ? uc $body->{client_op_id}
                                      : $body->{client_op_id},
                 payload => { kind => 'user_message',
                              text => $odd ? 'odd' : 'even' } };
    });

    my %by = map { my $s = $_; ($s => [ grep { $_->{status} == $s } @answers ])
                 } 202, 422;
    is scalar @{$by{202}}, $WRITERS / 2, 'half of them are accepted'
        or diag statuses(@answers);
    is scalar @{$by{422}}, $WRITERS / 2, 'the others are told apart';
    my %texts = map { $_->{json}{payload}{text} => 1 } @{$by{202}};
    is scalar keys %texts, 1, 'by what they ask for';
    $t->finished($by{202}[0]{json});
    is $t->reread($c)->{version}, 2, 'one run';
    return;
}


# The outputs that a paused run waits for, from many at a time.
sub one_answer {
    my ($t) = @_;
    my $c = $t->conversation(tools => [ { name => 'ask',
                             input_schema => { type => 'object' } } ]);
    $t->finished($t->run($c, script({ tools => [ [ 'ask', {}, 'a' ] ] },
                                    { text => 'thanks', delay => 0.5 })));
    $c = $t->reread($c);
    my $run = won(2, writers($t, $c, sub {
        $t->run_body($c, { kind => 'tool_outputs', outputs => [
                           { tool_use_id => 'a', content => "n$_[0]" } ] });
    }));
    is $t->finished($run)->{final_text}, 'thanks', 'it completes';
    is scalar @{$t->messages($c)}, 4, 'with one answer';
    return;
}


sub many {
    my ($t) = @_;
    my @c = map { $t->conversation } 1 .. 20;
    my @answers = burst($t, map { [ 'POST', runs_of($_),
                                    $t->run_body($_, "hello $_->{id}") ] } @c);
    is statuses(@answers), join(' ', (202) x 20), 'all are accepted';

    my @wrong = grep { $t->finished($answers[$_]{json})->{final_text}
                       ne "echo: hello $c[$_]{id}" } 0 .. $#c;
    is_deeply \@wrong, [], 'each gets its own answer';
    return;
}


# Polls run and messages by turns, as fast as it can, while turns are written.
sub all_or_nothing {
    my ($t) = @_;
    my $c = $t->conversation(mcp => '');
    my $call = [ 'mcp-echo', { text => 'x' x 999 } ];
    my @script = (({ tools => [ ($call) x 3 ] }) x 6, { text => 'done' });
    my ($reads, @wrong) = (0);

    for my $before (0, 14) {
        my $run = $t->run($t->reread($c), script(@script));
        my ($now, $page);

        do {
            $now = $t->get("/agents/runs/$run->{id}")->{json};
            $page = $t->get("/agents/conversations/$c->{id}/messages"
                            . '?since=0')->{json};
            my @seen = map { $_->{sequence_no} } @{$page->{messages}};
            my $n = @seen;
            $reads++;

            push @wrong, "$n messages" if $n != $before && $n != $before + 14;
            push @wrong, "numbers @seen" if "@seen" ne join ' ', 1 .. $n;
            push @wrong, "version $page->{current_version} of $n"
                if $page->{current_version} != $n;
            push @wrong, "$n messages of a run that is $now->{status}"
                if $now->{finished_at} && $n == $before;
        } until $now->{finished_at} || @wrong;

        is $now->{status}, 'completed', 'a run of 14 messages';
    }
    is_deeply \@wrong, [], "in $reads reads it was all or nothing";
    return;
}
