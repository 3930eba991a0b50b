# The live view: turns in order while a run is on its way, and a hand-over to
# the messages at which nothing is ever missing.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use AgentsTest;

for my $m (AgentsTest->matrix) {
    my $store = $m->{name};
    my $t = AgentsTest->new(%$m,
        replace => { "listen 127.0.0.1:%PORT%;" =>
                     "listen 127.0.0.1:%PORT% reuseport;" })->start;

    subtest "turns on $store" => sub { turns($t) };
    subtest "turns of later runs on $store" => sub { later($t) };
    subtest "results of one turn on $store" => sub { one_turn($t) };
    subtest "what does not show on $store" => sub { hidden($t) };
    subtest "a mixed turn on $store" => sub { mixed($t) };
    subtest "the name on $store" => sub { name($t) };
    subtest "hand-over on $store" => sub { hand_over($t, $_) for 1 .. 6 };
    subtest "hand-over of slow tools on $store" => sub { slow_hand_over($t) };
    $t->clean("$store: no error logged");
}

done_testing;


# A new connection for each poll: any worker answers.
sub poll {
    my ($t, $run) = @_;
    my $answer = $t->get("/agents/runs/$run->{id}",
                         headers => { Connection => 'close' });
    die "run: $answer->{status}\n" unless $answer->{status} == 200;
    return $answer->{json};
}


sub is_terminal { return $_[0]{status} !~ /^(?:pending|running)$/ }

sub ids {
    my ($messages) = @_;
    return map { "$_->{type} $_->{tool_use_id}" }
           grep { defined $_->{tool_use_id} }
           map { @{$_->{content_blocks}} } @$messages;
}


# All different views of a run until it ends, the last one terminal.
sub views {
    my ($t, $run) = @_;
    my @views;
    my $end = time + 20;
    while (time < $end) {
        my $now = poll($t, $run);
        push @views, $now;
        return @views if is_terminal($now);
    }
    die "the run does not end\n";
}


sub echo { return [ 'mcp-echo', { text => $_[0] }, $_[0] ] }
sub slow { return [ 'mcp-slow', { seconds => $_[1] }, $_[0] ] }


sub turns {
    my ($t) = @_;
    my $c = $t->conversation(mcp => '');
    my $run = $t->run($c, script({ tools => [ slow('one', 0.15) ] },
        { text => 'so', tools => [ slow('two', 0.15) ] },
        { text => 'done', delay => 0.2 }));
    is_deeply $run->{live}{messages}, [], 'nothing is live at first';

    my @views = views($t, $run);
    my $last = pop @views;
    is_deeply $last->{live}{messages}, [], 'nor at the end';

    my $before = [];
    for my $view (map { $_->{live}{messages} } @views) {
        my @known = @$view > @$before ? @$view[0 .. $#$before] : @$view;
        is_deeply \@known, $before, 'views grow' or last;
        $before = $view;
    }
    is_deeply [ map { [ @$_{qw(turn_index role)} ] } @$before ],
              [ [ 0, 'assistant' ], [ 1, 'tool' ], [ 2, 'assistant' ],
                [ 3, 'tool' ] ], 'four turns, in order';
    is_deeply [ sort keys %{$before->[0]} ],
              [ qw(content_blocks role turn_index) ], 'nothing else in them';
    ok scalar(grep { @{$_->{live}{messages}} == 1 } @views),
       'a call shows before its result';

    my @messages = @{$t->messages($c)};
    is_deeply [ map { $_->{content_blocks} } @messages[1 .. 4] ],
              [ map { $_->{content_blocks} } @$before ],
              'the same blocks are then the messages';
    return;
}


# Each run counts its turns from 0, whatever was there before: a resumed one,
# whose payload shows nowhere, and a second question.
sub later {
    my ($t) = @_;
    my $c = $t->conversation(mcp => '', tools => [ { name => 'ask',
        input_schema => { type => 'object' } } ]);
    $t->finished($t->run($c, script({ tools => [ [ 'ask', {}, 'a' ] ] },
        { tools => [ slow('first', 0.1) ] }, { text => 'x', delay => 0.3 })));
    my @payloads = ([ first => { kind => 'tool_outputs', outputs => [
        { tool_use_id => 'a', content => 'yes' } ] } ],
        [ second => script({ tools => [ slow('second', 0.1) ] },
                           { text => 'y', delay => 0.3 }) ]);

    for (@payloads) {
        my ($id, $payload) = @$_;
        my @views = map { $_->{live}{messages} }
                    views($t, $t->run($t->reread($c), $payload));
        my ($most) = sort { @$b <=> @$a } @views;
        is_deeply [ map { [ @$_{qw(turn_index role)} ] } @$most ],
                  [ [ 0, 'assistant' ], [ 1, 'tool' ] ], "$id: turns 0 and 1";
        is_deeply [ ids($most) ], [ "tool_use $id", "tool_result $id" ],
                  'of its own';
    }
    return;
}


sub one_turn {
    my ($t) = @_;
    my @order = qw(a b c d);
    my $c = $t->conversation(mcp => '');
    my $run = $t->run($c, script({ tools => [ slow('a', 0.6), echo('b'),
        slow('c', 0.3), echo('d') ] }, { text => 'done' }));

    my @partial;
    for my $view (views($t, $run)) {
        my @turns = @{$view->{live}{messages}};
        next unless @turns == 2;
        my @ids = map { $_->{tool_use_id} } @{$turns[1]{content_blocks}};
        push @partial, \@ids if @ids != @order;
        my %at = map { $order[$_] => $_ } 0 .. $#order;
        is_deeply \@ids, [ sort { $at{$a} <=> $at{$b} } @ids ],
                  'results stand in call order' or last;
        is_deeply [ $turns[1]{role}, $turns[1]{turn_index} ], [ 'tool', 1 ],
                  'in one turn' or last;
    }
    ok scalar(grep { $_->[0] ne 'a' } @partial),
       'which shows with the first result, whichever call it is of';
    my ($tool) = grep { $_->{role} eq 'tool' } @{$t->messages($c)};
    is_deeply [ map { $_->{tool_use_id} } @{$tool->{content_blocks}} ],
              \@order, 'all of them at last';
    return;
}


sub hidden {
    my ($t) = @_;
    my $run = $t->run($t->conversation, script({ text => 'x',
                                                 delay => 0.3 }));
    my @views = views($t, $run);
    is scalar(grep { @{$_->{live}{messages}} } @views), 0,
       'a direct answer is never live';

    my $c = $t->conversation(mcp => '');
    $run = $t->run($c, script({ tools => [ [ 'mcp-none', {}, 'n' ] ] },
                              { tools => [ slow('s', 0.4) ] },
                              { text => 'x' }));
    @views = map { $_->{live}{messages} } views($t, $run);
    my ($seen) = grep { @$_ } @views;
    is_deeply [ map { [ @$_{qw(turn_index role)} ] } @$seen ],
              [ [ 2, 'assistant' ] ],
              'nor is a turn without a call to be made';
    return;
}


sub mixed {
    my ($t) = @_;
    my $c = $t->conversation(mcp => '', tools => [ { name => 'ask',
        input_schema => { type => 'object' } } ]);
    my $run = $t->run($c, script({ tools => [ [ 'ask', {}, 'a' ],
                                              slow('s', 0.3) ] }));
    my @views = views($t, $run);
    my ($seen) = grep { @$_ } map { $_->{live}{messages} } @views;
    is_deeply [ ids($seen) ], [ 'tool_use a', 'tool_use s' ],
              'the whole turn shows';
    is $views[-1]{status}, 'requires_action', 'then it waits';
    is_deeply $views[-1]{live}{messages}, [], 'with nothing live';
    is_deeply [ ids($t->messages($c)) ],
              [ 'tool_use a', 'tool_use s', 'tool_result s' ],
              'which is in the messages';
    return;
}


sub name {
    my ($t) = @_;
    my $c = $t->conversation(name => 'its name');
    my $run = $t->run($c, 'x');
    is $run->{live}{current_name}, 'its name', 'the conversation\'s name';
    is $t->finished($run)->{live}{current_name}, 'its name', 'later, too';
    return;
}


sub hand_over {
    my ($t, $round) = @_;
    watch($t, 18, map({ my $n = $_; { tools => [ map { echo("r$round-$n-$_") }
                                                 1 .. 3 ] } } 1 .. 3));
    return;
}


# Calls that take their time, one after the other and side by side; the last
# turn is that of a run which then waits for its caller.
sub slow_hand_over {
    my ($t) = @_;
    watch($t, 12, map { my $n = $_; { tools => [
        slow("a$n", 0.2), slow("b$n", 0.3) ] } } 1 .. 3);
    watch($t, 5, { tools => [ slow('c', 0.3) ] },
          { tools => [ slow('d', 0.3), [ 'ask', {}, 'e' ] ] });
    return;
}


# Polls as fast as it can.  What was live once and is not any more has to be in
# the messages that are asked for after that.
sub watch {
    my ($t, $blocks, @script) = @_;
    my $c = $t->conversation(mcp => '', tools => [ { name => 'ask',
        input_schema => { type => 'object' } } ]);
    my $run = $t->run($c, script(@script, { text => 'done' }));
    my (%seen, @missing);
    my ($polls, $now) = (0, undef);
    my $end = time + 20;

    while (time < $end) {
        $now = poll($t, $run);
        $polls++;
        my %live = map { $_ => 1 } ids($now->{live}{messages});
        if (my @gone = grep { !$live{$_} } keys %seen) {
            my %kept = map { $_ => 1 } ids($t->messages($c));
            push @missing, grep { !$kept{$_} } @gone;
        }
        @seen{keys %live} = values %live;
        last if is_terminal($now);
    }
    is $now->{status}, (grep { $_ eq 'tool_use e' } keys %seen)
                       ? 'requires_action' : 'completed', 'it ends well';
    ok scalar(keys %seen), 'turns were seen';
    is_deeply \@missing, [], "in $polls polls nothing is missing";
    is scalar(ids($t->messages($c))), $blocks, 'all are messages now';
    return;
}
