# GET /agents/runs/{id}/events: what a client sees of a run as it goes, on the
# worker that carries it and on the others, and how it goes on elsewhere.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use AgentsTest;
use AgentsTest::Burst;
use AgentsTest::Events;
use AgentsTest::Workers;
use Time::HiRes qw(sleep time);

my $MODEL = '/v1/chat/completions';
my $TOOLS = [ [ 'mcp-echo', { text => "drei \"\x{c4}pfel\"" } ],
              [ 'mcp-slow', { seconds => 0.3 } ] ];
my ($t, $via, $one, $two, $workers, $slow);

# one worker has no others to tell, whatever the store is
for my $m (grep { $_->{workers} > 1 || $_->{store} ne 'postgres' }
           AgentsTest->matrix(1, 2)) {
    my $where = $m->{name};
    $workers = $m->{workers};
    $slow = AgentsTest::free_port();
    $t = AgentsTest->new(%$m, AgentsTest::Workers::conf(),
        http => 'agents_lease 1s; agents_drain_timeout 2s;',
        provider => 'retries 2; timeout 30s;',
        plane => "model plain provider=scripted id=plain max_tokens=32000 "
                 . 'no_native_format;',
        server => "listen 127.0.0.1:$slow sndbuf=32k;\n"
                  . 'location = /metrics { agents_metrics; }',
        model => { title => 'A Title', delay => 0.4 })->start;
    $t->allow(qr/exited on signal 9/);
    again();

    subtest "a run with tools, $where" => \&follow;
    subtest "who comes late, $where" => \&late;
    subtest "a reload, $where" => \&reload;

    # what the store or another worker can change
    if ($workers > 1) {
        subtest "from any id, $where" => \&resume;
        subtest "names, $where" => \&names;
        subtest "a conversation that is deleted, $where" => \&deleted;
        subtest "on another node, $where" => \&node
            if $m->{store} eq 'postgres';
        subtest "a worker that is killed, $where" => \&killed;
    }
    once($where) if $workers > 1 && $m->{store} ne 'postgres';
    $t->clean("$where: no error logged");
}

subtest 'every protocol' => \&protocols;

done_testing;


sub once {
    my ($where) = @_;
    my $idle = idle();
    subtest "ids that make no sense, $where" => \&nonsense;
    subtest "whose run it is, $where" => \&whose;
    subtest "a stream that breaks, $where" => \&broken;
    subtest "structured answers, $where" => \&structured;
    subtest "ids of calls, $where" => \&ids;
    subtest "a run that ends otherwise, $where" => \&otherwise;
    subtest "many who follow, $where" => \&many;
    subtest "a client that does not read, $where" => \&slow;
    subtest "a worker that does not read, $where" => \&halted;
    subtest "clients that leave, $where" => \&leaving;
    subtest "a comment, $where" => sub { comment($idle) };
    return;
}


# A run of the first worker.
sub start {
    my ($script, %defaults) = @_;
    my $c = $t->conversation(%defaults);
    my $run = $via->to($one, sub { $t->run($c, $script) });
    return ($run, $c);
}


sub events {
    my ($pid, $run, %o) = @_;
    return AgentsTest::Events->new($t, $run,
        socket => $via->socket($pid), headers => {}, %o);
}


sub line { return AgentsTest::Events::line(@_) }


# Without what may be over before anyone could look.
sub after_pending {
    my ($line) = @_;
    $line =~ s/^run:pending //;
    $line =~ s/^run:running //;
    return $line;
}


# A turn that has grown counts once.
sub grown {
    my ($line) = @_;
    $line =~ s/(turn:\d+)(?: \1)+/$1/g;
    return after_pending($line);
}


sub in_hand {
    my ($n) = @_;
    return $t->wait_for(5, sub {
        ($t->mock->stats->{active}{$MODEL} || 0) == $n;
    }) || die "the model was not asked\n";
}


sub text_of {
    my ($turn) = @_;
    return join '', map { $_->{text} } grep { $_->{type} eq 'text' }
                    @{$turn->{content_blocks}};
}


# What was told of each turn is what the turn says.
sub told_right {
    my (@events) = @_;
    my $told = AgentsTest::Events::deltas(@events);
    my $n = 0;
    local $Test::Builder::Level = $Test::Builder::Level + 1;

    for my $turn (map { $_->{json} } grep { $_->{event} eq 'turn' } @events) {
        my $of = $told->{$turn->{turn_index}} or next;
        is $of->{''}, text_of($turn), "text of turn $turn->{turn_index}"
            if defined $of->{''};
        my %calls = map { $_->{tool_use_id} => $_->{arguments} }
                    grep { $_->{type} eq 'tool_use' }
                    @{$turn->{content_blocks}};
        for (grep { $_ ne '' } sort keys %$of) {
            is_deeply decoded($of->{$_}), $calls{$_}, "arguments of $_";
        }
        $n += keys %$of;
    }
    return $n;
}


sub decoded {
    my ($text) = @_;
    utf8::encode($text) if utf8::is_utf8($text);
    return eval { JSON::PP->new->utf8->decode($text) };
}


sub follow {
    my @tools = ($TOOLS->[0], [ 'mcp-slow', { seconds => 1 } ]);
    my @entries = ({ text => 'Let me see: ', tools => \@tools, pace => 0.03 },
                   { text => 'It is five, more or less.', pace => 0.02 });
    my ($run, $c) = start(script(@entries), mcp => '');
    my @followed = map { events($_, $run) } $one, $two;
    my @got = map { [ $_->all ] } @followed;
    $run = $t->finished($run);

    for my $i (0, 1) {
        my @events = @{$got[$i]};
        my $name = $i ? 'another worker' : 'its owner';
        is $followed[$i]->status, 200, "$name: 200";
        my $headers = $followed[$i]->headers;
        is $headers->{'content-type'}, 'text/event-stream', 'its type';
        is $headers->{'x-accel-buffering'}, 'no', 'not to be held back';
        like $headers->{'cache-control'}, qr/no-cache/, 'nor kept';
        ok !exists $headers->{'content-length'}, 'of no length';
        ok $followed[$i]->ended, 'it ends as it should';
        is after_pending(line(@events)), 'delta:0 turn:0 turn:1 turn:1 '
            . 'delta:2 turn:2 run:completed end:completed', 'in order';
        is told_right(@events), 4, 'texts and calls were told';
        my ($first) = grep { $_->{event} eq 'delta' } @events;
        my ($turn) = grep { $_->{event} eq 'turn' } @events;
        cmp_ok $first->{at}, '<', $turn->{at} - 0.1, 'while it spoke'
            if $i == 0;
        is scalar(grep { !defined $_->{id} && $_->{event} ne 'delta' }
                  @events), 0, 'all others have an id';
        is scalar(grep { defined $_->{id} && $_->{event} eq 'delta' }
                  @events), 0, 'deltas have none';

        my ($end) = grep { $_->{event} eq 'run'
                           && $_->{json}{finished_at} } @events;
        my %shown = %$run;
        delete $shown{live};
        is_deeply $end->{json}, \%shown, 'the run as GET shows it';
        my @turns = map { $_->{json} } grep { $_->{event} eq 'turn' } @events;
        splice @turns, 1, 1;
        is_deeply [ map { [ $_->{role}, $_->{content_blocks} ] } @turns ],
            [ map { [ $_->{role}, $_->{content_blocks} ] }
              grep { $_->{sequence_no} > 1 } @{$t->messages($c)} ],
            'the turns are the messages';
    }
    is line(events($two, $run)->all),
       'turn:0 turn:1 turn:2 run:completed end:completed', 'and once more';
    return;
}


# What is left of a run that has ended by then: of a turn that grew, the last.
sub rest {
    my (@events) = @_;
    my %last = map { $_->{json}{turn_index} => $_ }
               grep { $_->{event} eq 'turn' } @events;
    return [ map { $_->{data} }
             grep { $_->{event} eq 'turn'
                    ? $last{$_->{json}{turn_index}} == $_
                    : $_->{event} eq 'run' ? $_->{json}{finished_at}
                    : $_->{event} eq 'end' } @events ];
}


sub resume {
    my ($run) = start(script({ text => 'a', tools => $TOOLS, delay => 0.2 },
                             { tools => [ [ 'mcp-add', { a => 1, b => 1 } ] ],
                               pace => 0.02 },
                             { text => 'the end' }), mcp => '');
    my @events = events($two, $run)->all;
    is grown(line(@events)), 'delta:0 turn:0 turn:1 delta:2 '
        . 'turn:2 turn:3 delta:4 turn:4 run:completed end:completed', 'whole';

    for my $i (grep { defined $events[$_]{id} } 0 .. $#events) {
        my @seen = grep { defined $_->{id} } @events[0 .. $i];
        my $follow = events($i % 2 ? $one : $two, $run,
                            last => $events[$i]{id});
        is_deeply [ map { $_->{data} } $follow->all ],
                  rest(@events[$i + 1 .. $#events]),
                  "behind $events[$i]{event} $events[$i]{id}";
        is $follow->status, 200, 'its status';
        ok $follow->ended, 'to the end';
    }

    # in pieces, while it goes on: each time from the last id
    ($run) = start(script({ text => 'a', tools => $TOOLS, pace => 0.05 },
        { text => 'the end of it all', pace => 0.05 }), mcp => '');
    my ($last, @pieces);
    for my $i (0 .. 20) {
        my $follow = events($i % 2 ? $one : $two, $run,
                            defined $last ? (last => $last) : ());
        while (my $event = $follow->next) {
            push @pieces, $event;
            $last = $event->{id} if defined $event->{id};
            last if $event->{event} !~ /delta|reset/;
        }
        $follow->close;
        last if !@pieces || $pieces[-1]{event} eq 'end';
    }
    told_right(@pieces);
    @pieces = grep { $_->{event} !~ /delta|reset/ } @pieces;
    is grown(line(@pieces)),
       'turn:0 turn:1 turn:2 run:completed end:completed',
       'in pieces: nothing is lost, nothing twice';
    return;
}


sub nonsense {
    my ($run) = start(script({ tools => [ [ 'mcp-add', { a => 1, b => 2 } ] ] },
                             { text => 'x' }), mcp => '');
    $run = $t->finished($run);
    my @all = events($one, $run)->all;
    my ($other) = start('another run');
    my @other = events($one, $t->finished($other))->all;
    my $tail = substr $run->{id}, -12;

    for my $id ('x', '', '0', '-1.0.1.1.' . $tail, '3.0.9.1.' . $tail,
                '3.0.2.7.' . $tail, '5.0.1.1.' . $tail, '2.0.1.0.' . $tail,
                '2.0.1.1.' . ('0' x 12), '2.99.1.1.' . $tail,
                '2.0.01.1.' . $tail, '2.0.1.1', '2.0.1.1.' . $tail . 'x',
                '9' x 4000, "2.0.1.9999999999999999.$tail",
                $other[-1]{id}) {
        is_deeply [ map { $_->{data} } events($two, $run, last => $id)->all ],
                  [ map { $_->{data} } @all ],
                  'from the beginning: ' . substr $id, 0, 40;
    }

    ($run) = start(script({ text => 'x', delay => 0.4 }));
    my ($first) = events($one, $run,
                         last => '3.0.0.0.' . substr $run->{id}, -12)->all;
    is $first->{event}, 'run', 'of an end that has not come';
    return;
}


# Who comes in the middle is told what was told before; who comes back, that
# it counts no more.
sub late {
    my $text = join ' ', map { "word$_" } 1 .. 20;
    my ($run) = start(script({ text => $text, pace => 0.05, pieces => 30 }));
    my $first = events($one, $run);
    my @head;
    while (my $event = $first->next) {
        push @head, $event;
        last if grep({ $_->{event} eq 'delta' } @head) == 4;
    }
    my ($id) = map { $_->{id} } grep { defined $_->{id} } reverse @head;

    for my $pid ($one, $two) {
        my @events = events($pid, $run)->until('delta');
        my $told = $events[-1]{json}{text};
        is substr($text, 0, length $told), $told, 'from its beginning';
        cmp_ok length $told, '>', 5, 'at once';
    }
    my @again = map { events($_, $run, last => $id) } $one, $two;
    for (@again) {
        my @events = $_->all;
        is line(@events), 'reset:0 delta:0 turn:0 run:completed end:completed',
           'who comes back';
        told_right(@events);
    }
    my @events = (@head, $first->all);
    is after_pending(line(@events)),
       'delta:0 turn:0 run:completed end:completed', 'the first goes on';
    told_right(@events);
    return;
}


sub whose {
    my ($run) = start(script({ text => 'secret words', delay => 1 }));
    my $mine = events($one, $run);
    for my $id ($run->{id}, uuid(), 'x') {
        for my $pid ($one, $two) {
            my $follow = events($pid, $id, user => 'bob',
                                headers => { Connection => 'close' });
            is $follow->status, 404, 'another: 404';
            is $follow->headers->{'content-type'}, 'application/problem+json',
               'a problem';
        }
    }
    my $answer = $t->get("/agents/runs/$run->{id}/events", user => 'bob');
    my $plain = $t->get("/agents/runs/$run->{id}", user => 'bob');
    is $answer->{json}{$_}, $plain->{json}{$_}, "the same $_"
        for qw(type title detail status);
    is $t->get("/agents/runs/$run->{id}/events",
               permissions => [ 'write' ])->{status}, 403, 'not to be read';

    $answer = $t->request('HEAD', "/agents/runs/$run->{id}/events", undef);
    is $answer->{status}, 200, 'HEAD';
    is $answer->{headers}{'content-type'}, 'text/event-stream', 'its type';
    is line(grep { $_->{event} ne 'run' } $mine->all(30)),
       'delta:0 turn:0 end:completed', 'mine';
    ok $t->wait_for(5, sub {
        $t->access_log =~ m{GET /agents/runs/$run->{id}/events HTTP/1.1" 200};
    }), 'which is logged';
    like $t->get('/metrics')->{content}, qr{^agents_requests_total\{
        route="/agents/runs/\{id\}/events",method="GET",status="404"}mx,
         'and counted by its route';
    return;
}


sub broken {
    my ($n, %follow) = (0);
    for my $mid ('reset', 'end', 'garbage', [ 'overloaded_error', 'busy' ]) {
        $n++;
        my ($run) = start(script(
            { text => "lost $n words and more of them", mid => $mid,
              times => 1, pace => 0.02 },
            { text => "kept $n words and more of them", pace => 0.02 }));
        $follow{ref $mid ? 'an error' : $mid} =
            [ map { events($_, $run) } $one, $two ];
    }
    for my $name (sort keys %follow) {
        for (@{$follow{$name}}) {
            my @events = $_->all(40);
            is after_pending(line(@events)),
               'delta:0 reset:0 delta:0 turn:0 run:completed end:completed',
               $name;
            is told_right(@events), 1, 'told anew';
            my ($lost) = grep { $_->{event} eq 'delta' } @events;
            like $lost->{json}{text}, qr/^lost/, 'what was lost';
        }
    }
    return;
}


sub structured {
    my $schema = { type => 'object', required => [ 'n' ], properties => {
                   n => { type => 'integer' }, s => { type => 'string' } } };
    my $pretty = "{\n  \"n\": 5,\n  \"s\": \"a b\"\n}\n";
    my %o = (output_format_schema => $schema);

    my $play = sub {
        my ($name, $script, $line, %more) = @_;
        my ($run) = start(script(@$script), %o, %more);
        my @got = map { [ $_->all ] } map { events($_, $run) } $one, $two;
        for (@got) {
            is after_pending(line(@$_)), $line, $name;
            told_right(@$_);
            my $all = join ' ', map { $_->{data} }
                      grep { $_->{event} ne 'run' } @$_;
            unlike $all, qr/final_answer|does not match the required/,
                   'nothing of how it is made';
        }
        return map { AgentsTest::Events::deltas(@$_) } @got;
    };

    my $whole = 'delta:0 turn:0 run:completed end:completed';
    my ($told) = $play->('JSON', [ { text => '{"n":5,"s":"a b"}' } ], $whole);
    is $told->{0}{''}, '{"n":5,"s":"a b"}', 'as it is';
    ($told) = $play->('JSON with blanks', [ { text => $pretty } ], $whole);
    is $told->{0}{''}, '{"n":5,"s":"a b"}', 'as it will be';
    ($told) = $play->('a fence', [ { text => "```json\n$pretty```" } ],
                      'turn:0 run:completed end:completed');
    ($told) = $play->('by a tool', [ { tools => [ [ 'final_answer-json',
        { n => 5 } ] ] } ], $whole, model => 'plain');
    is $told->{0}{''}, '{"n":5}', 'is text';
    $play->('repaired', [ { text => '{"n":"five"}' }, { text => '{"n":5}' } ],
            'delta:0 reset:0 delta:0 turn:0 run:completed end:completed');
    $play->('wrapped', [ { text => '{"value":7}' } ],
            'turn:0 run:completed end:completed',
            output_format_schema => { type => 'integer' });
    return;
}


# Ids that the model leaves out, or repeats: told as they will be.
sub ids {
    my ($run) = start(script(
        { tools => [ [ 'mcp-add', { a => 1, b => 2 }, 'same' ],
                     [ 'mcp-add', { a => 3, b => 4 }, 'same' ] ] },
        { tools => [ [ 'mcp-add', { a => 5, b => 6 }, 'same' ],
                     [ 'mcp-add', { a => 7, b => 8 }, '' ] ] },
        { text => 'x' }), mcp => '');
    my @got = map { [ $_->all ] } map { events($_, $run) } $one, $two;
    for (@got) {
        is told_right(@$_), 5, 'all are told';
        is scalar(grep { $_->{event} eq 'reset' } @$_), 0, 'none withdrawn';
    }
    return;
}


sub otherwise {
    my ($run) = start(script({ text => join(' ', 1 .. 400), pace => 0.1,
                               pieces => 200 }));
    my @follow = map { events($_, $run) } $one, $two;
    my @head = map { [ $_->until('delta') ] } @follow;
    $t->post("/agents/runs/$run->{id}/cancel");
    for my $i (0, 1) {
        my @events = (@{$head[$i]}, $follow[$i]->all);
        is after_pending(line(@events)),
           'delta:0 reset:0 run:failed end:failed', 'cancelled';
        is $events[-2]{json}{error}{type}, 'AgentLoopCancelled', 'it says so';
    }

    ($run) = start(script({ text => 'cut off', finish => 'length' }));
    my @events = events($two, $run)->all;
    is after_pending(line(@events)), 'delta:0 turn:0 run:failed end:failed',
       'cut off by max_tokens: what it said stays';
    told_right(@events);

    ($run) = start(script({ tools => [ [ 'mcp-add', { a => 1, b => 2 } ],
                                       [ 'ask', { q => 'why?' } ] ] }),
                   mcp => '', tools => [ { name => 'ask',
                                           input_schema => {} } ]);
    @events = events($two, $run)->all;
    is after_pending(line(@events)),
       'delta:0 turn:0 turn:1 run:requires_action end:requires_action',
       'it waits for the caller';
    told_right(@events);

    ($run) = start(script({ error => [ 400, 'invalid', 'no' ] }));
    is after_pending(line(events($two, $run)->all)), 'run:failed end:failed',
       'before any reply';

    ($run) = start(script({ text => 'in one body', whole => 1 }));
    is after_pending(line(events($two, $run)->all)),
       'turn:0 run:completed end:completed', 'no stream, no deltas';
    return;
}


sub names {
    my ($run, $c) = start(script({ text => 'x', delay => 1 }), name => undef);
    my @follow = map { events($_, $run) } $one, $two;
    for (@follow) {
        my @events = $_->until('name');
        is_deeply $events[-1]{json}, { current_name => 'A Title' },
                  'the title';
    }
    $t->patch("/agents/conversations/$c->{id}", { name => "\x{c4}nother" });
    my @rest = map { [ $_->all ] } @follow;
    for (@rest) {
        is line(grep { $_->{event} !~ /delta|run/ } @$_),
           'name turn:0 end:completed', 'and what comes after it';
        is $_->[0]{json}{current_name}, "\x{c4}nother", 'the new name'
            if $_->[0]{event} eq 'name';
    }
    my $done = $t->finished($run);
    is line(events($one, $done)->all),
       'turn:0 run:completed end:completed', 'none of one that has ended';
    is line(events($one, $done, last => '2.0.0.0.' . substr $run->{id}, -12)
            ->all), 'name turn:0 run:completed end:completed',
       'but for who has not heard of it';

    ($run) = start('named from the start');
    is after_pending(line(events($two, $run)->all)),
       'delta:0 turn:0 run:completed end:completed', 'no news: none';
    return;
}


sub many {
    my @runs = map { (start(script({ text => $_, pace => 0.05, delay => 1,
                                     pieces => 40 })))[0] }
               join(' ', 1 .. 90), join(' ', 'a' .. 'cz');
    my @follow = map { events($_ % 2 ? $one : $two, $runs[$_ % 5 == 0]) }
                 1 .. 40;
    my (%lines, $wrong);
    for (@follow) {
        my @events = $_->all;
        $lines{after_pending(line(@events))}++;
        my $told = AgentsTest::Events::deltas(@events);
        my ($turn) = grep { $_->{event} eq 'turn' } @events;
        $wrong++ if $told->{0}{''} ne text_of($turn->{json});
    }
    is_deeply \%lines,
              { 'delta:0 turn:0 run:completed end:completed' => 40 }, 'all';
    ok !$wrong, 'each of its own run';
    return;
}


# It loses deltas and nothing else; nobody waits for it.
sub slow {
    my $text = '0123456789' x 30_000;
    my ($run, $c) = start(script({ text => '0123456789', repeat => 30_000,
        pieces => 300, pace => 0.002, tools => [ [ 'mcp-add', { a => 1, b => 2 } ] ] },
        { text => 'short' }), mcp => '');
    my @stuck = map { AgentsTest::Events->new($t, $run, rcvbuf => 32768,
        socket => IO::Socket::INET->new(PeerAddr => "127.0.0.1:$slow")) }
        1, 2;
    my $quick = events($two, $run);
    my $began = time;
    $quick->all(30);
    $run = $t->finished($run);
    my $took = time - $began;
    cmp_ok $took, '<', 15, "the run goes on: $took s";
    for my $stuck (@stuck) {
        my @events = $stuck->all(30);
        my $line = line(@events);
        like $line, qr/turn:0 turn:1 (?:delta:2 )?turn:2 run:completed/,
             'all turns, and the end';
        my ($turn) = grep { $_->{event} eq 'turn' } @events;
        is length text_of($turn->{json}), length $text, 'whole';
        my $told = AgentsTest::Events::deltas(@events)->{0};
        ok !defined $told, 'what was told of it is withdrawn, or was never';
    }
    return;
}


# What its sockets have no room for is lost to those who follow from there.
sub halted {
    my ($run) = start(script({ text => '0123456789', repeat => 40_000,
                               pieces => 1500, pace => 0.0005 }));
    my $follow = events($two, $run);
    my @events = $follow->until('delta');
    kill 'STOP', $two;
    my $done = $via->to($one, sub { $t->finished($run, 20) });
    kill 'CONT', $two;
    is $done->{status}, 'completed', 'nobody waits for it';
    push @events, $follow->all;
    is after_pending(line(@events)),
       'delta:0 reset:0 turn:0 run:completed end:completed',
       'and it says so';
    return;
}


sub leaving {
    my ($run) = start(script({ text => join(' ', 1 .. 100), pace => 0.05,
                               pieces => 100 }));
    my @follow = map { events($_ % 2 ? $one : $two, $run) } 1 .. 40;
    $_->until('delta') for @follow;
    my $streams = sub {
        $t->get('/metrics')->{content} =~ /^agents_event_streams (\d+)/m;
        return $1;
    };
    my $before = $streams->();
    cmp_ok $before, '>=', 40, 'they are counted';
    my $descriptors = sub {
        my $n = 0;
        $n += () = glob "/proc/$_/fd/*" for $one, $two;
        return $n;
    };
    my $open = $descriptors->();
    $_->close for @follow;
    ok $t->wait_for(10, sub { $descriptors->() <= $open - 40 }),
       'they are noticed';
    ok $t->wait_for(10, sub { $streams->() == $before - 40 }),
       'and counted no more';
    $t->post("/agents/runs/$run->{id}/cancel");
    is $t->finished($run)->{status}, 'failed', 'the run is as it was';
    return;
}


sub deleted {
    my ($run, $c) = start(script({ text => 'x', delay => 20 }));
    my @follow = map { events($_, $run) } $one, $two;
    $_->next for @follow;
    is $t->delete("/agents/conversations/$c->{id}")->{status}, 204, 'deleted';
    for (@follow) {
        my @events = $_->all(5);
        ok $_->ended, 'the stream ends';
        is scalar(grep { $_->{event} eq 'end' } @events), 0, 'without an end';
    }
    return;
}


# Another nginx on the same store: turns, as they come, and no deltas.
sub node {
    my $other = AgentsTest->new(store => $t->store, mock => $t->mock)->start;
    my ($run) = start(script({ text => 'a b c', tools => $TOOLS, pace => 0.05 },
                             { text => 'd e f', pace => 0.05 }), mcp => '');
    my $here = events($one, $run);
    my $there = AgentsTest::Events->new($other, $run);
    my @there = $there->all;
    my @here = $here->all;
    is grown(line(@there)),
       'turn:0 turn:1 turn:2 run:completed end:completed', 'each turn';
    cmp_ok $there[-1]{at} - $here[-1]{at}, '<', 2, 'soon';

    my ($id) = map { $_->{id} } grep { $_->{event} eq 'turn' } @here;
    my @rest = AgentsTest::Events->new($other, $run, last => $id)->all;
    is line(@rest), 'turn:1 turn:2 run:completed end:completed',
       'it takes the ids of the first';
    delete $other->{mock};
    $other->clean('the other node');
    return;
}


# Begun before the other parts, so that they pass the time.
sub idle {
    my ($run) = start(script({ text => 'x', delay => 60 }));
    return { run => $run, at => time, follow => events($two, $run) };
}


sub comment {
    my ($idle) = @_;
    my ($event, @comments);
    while (!@comments && ($event = $idle->{follow}->next(30))) {
        push @comments, $event if exists $event->{comment};
    }
    is scalar(@comments), 1, 'a comment comes';
    my $after = time - $idle->{at};
    cmp_ok $after, '>', 14, "after 15 s: it is $after s now";
    $t->post("/agents/runs/$idle->{run}{id}/cancel");
    is line(grep { !exists $_->{comment} } $idle->{follow}->all),
       'run:failed end:failed', 'and the rest after it';
    return;
}


# Streams end, and go on in the new workers.
sub reload {
    my ($run) = start(script({ text => 'a', delay => 1.5, tools =>
                               [ [ 'mcp-add', { a => 1, b => 2 } ] ] },
                             { text => 'b', delay => 0.5 }), mcp => '');
    my @follow = map { events($_, $run) } $one, $two;
    my $stuck = events($two, $run, rcvbuf => 4096);
    my @first = map { [ $_->until('run') ] } @follow;
    in_hand(1);
    delete $t->{http_client};
    my $began = time;
    ok $t->reload, 'reloaded';
    for my $i (0, 1) {
        push @{$first[$i]}, $follow[$i]->all(10);
        ok $follow[$i]->ended, 'ended as it should';
        is scalar(grep { $_->{event} eq 'end' } @{$first[$i]}), 0,
           'not as the run does';
    }
    my $took = time - $began;
    cmp_ok $took, '<', 4, "soon: $took s";

    for (@first) {
        my ($id) = map { $_->{id} } grep { defined $_->{id} } reverse @$_;
        my @rest = AgentsTest::Events->new($t, $run, last => $id)->all;
        my @all = grep { $_->{event} !~ /delta|reset/ } @$_, @rest;
        is after_pending(line(@all)),
           'turn:0 turn:1 turn:2 run:completed end:completed',
           'it goes on elsewhere';
    }
    ok $t->wait_for(20, sub {
        !grep { AgentsTest::alive($_) } $one, $two }), 'the workers are gone';
    again();
    return;
}


# There are other workers now.
sub again {
    delete $t->{http_client};
    $via = AgentsTest::Workers->new($t);
    ($one, $two) = ($via->pids)[0, -1];
    return;
}


# The owner is killed while its model speaks: who follows the run elsewhere is
# told that this counts no more, and then what the next owner's model says.
sub killed {
    my ($run) = start(script({ text => join(' ', 1 .. 40), pace => 0.1,
                               pieces => 30 }));
    my $follow = events($two, $run);
    my @events = $follow->until('delta');
    push @events, $follow->until('delta');
    my $stays = $two;
    kill 'KILL', $one;
    again();
    my ($new) = grep { $_ != $stays } $via->pids;
    my $late = events($new, $run);
    push @events, $follow->all(40);
    is after_pending(line(@events)),
       'delta:0 reset:0 delta:0 turn:0 run:completed end:completed',
       'a takeover';
    is told_right(@events), 1, 'told anew';
    @events = $late->all;
    is after_pending(line(@events)),
       'delta:0 turn:0 run:completed end:completed', 'by the new worker';
    is told_right(@events), 1, 'the same';
    return;
}


# Whatever the model speaks, and what it thinks is not told.
sub protocols {
    my ($store) = AgentsTest->stores;
    $t = AgentsTest->new(store => $store, model => { delay => 0.4 },
                         AgentsTest::Protocols->configured)->start;
    for my $name (map { $_->name } AgentsTest::Protocols->all) {
        my $c = $t->conversation(mcp => '', model => "$name-streamed");
        my $run = $t->run($c, script(
            { text => "h\x{e9} says ", tools => $TOOLS, pace => 0.02,
              thinking => [ [ 'to himself', 'signed' ] ] },
            { text => 'the end of it', pace => 0.02 }));
        my @events = AgentsTest::Events->new($t, $run)->all;
        is grown(line(@events)), 'delta:0 turn:0 turn:1 delta:2 turn:2 '
            . 'run:completed end:completed', $name;
        is told_right(@events), 4, 'told as it came';
        unlike join(' ', map { $_->{data} } grep { $_->{event} ne 'run' }
                         @events), qr/to himself|signed/, 'without thoughts';
    }
    $t->clean('no error logged');
    return;
}
