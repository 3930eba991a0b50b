# Every queue has an end: what is new is refused there, by name and for now, and
# what was accepted goes on.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use AgentsTest;
use AgentsTest::Burst;

# The bounds are each worker's.
for my $store (AgentsTest->stores) {
    my $on = "on $store";
    my $t = AgentsTest->new(store => $store, workers => 1,
        http => 'agents_max_requests 8; agents_max_runs 3;'
                . ' agents_max_bodies 100k;')->start;
    $t->allow(qr/answered 503 "overloaded"/);
    subtest "requests that wait $on" => sub { requests($t) };
    subtest "long polls $on" => sub { polls($t) };
    subtest "bodies in memory $on" => sub { bodies($t) };
    subtest "runs of a worker $on" => sub { runs($t) };
    subtest "runs that are taken over $on" => sub { claims($t) };
    $t->clean("$store: no error logged");
}

my ($one) = AgentsTest->stores;
my $t = AgentsTest->new(store => $one)->start;
subtest "calls of one turn on $one" => \&calls;
$t->clean;

done_testing;


sub overloaded {
    my ($answer, $name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    is $answer->{status}, 503, "$name: 503" or diag $answer->{content};
    like $answer->{json}{type}, qr{/errors/overloaded$}, 'by its own name';
    is $answer->{headers}{'retry-after'}, 1, 'for now';
    return;
}


# Sent, and not waited for.
sub send_off {
    my ($t, @request) = @_;
    my $socket = $t->socket;
    syswrite $socket, request_bytes($t, @request);
    return $socket;
}


# Waits until so many of them have an answer: (those, the others).
sub answered {
    my ($t, $n, @sockets) = @_;
    my (@these, @others);
    $t->wait_for(10, sub {
        my $in = '';
        vec($in, fileno $_, 1) = 1 for @sockets;
        select(my $ready = $in, undef, undef, 0.1);
        @these = grep { vec($ready, fileno $_, 1) } @sockets;
        @others = grep { !vec($ready, fileno $_, 1) } @sockets;
        return @these >= $n;
    });
    return (\@these, \@others);
}


sub statuses {
    local $/;
    my @statuses = map { readline($_) =~ m{^HTTP/1\.1 (\d+)} } @_;
    close $_ for @_;
    return \@statuses;
}


# The store keeps its writers waiting: the line has an end.
sub requests {
    my ($t) = @_;
    my $body = $t->conversation_body;
    $t->conversation;
    my $lock = $t->hold;
    my ($refused, $waiting) = answered($t, 4, map {
        send_off($t, 'POST', '/agents/conversations', $body) } 1 .. 12);
    is_deeply statuses(@$refused), [ (503) x 4 ], 'more than may wait';
    overloaded($t->get('/agents/conversations'), 'a list');
    overloaded($t->post('/agents/conversations', $body), 'a POST');
    is $t->get('/agents/openapi.json')->{status}, 200,
       'what does not wait is answered';
    is $t->get('/agents/nonsense')->{status}, 404, 'and so is a bad path';

    close $lock;
    is_deeply statuses(@$waiting), [ (201) x 8 ],
              'those who were in line have what they came for';
    is $t->get('/agents/conversations')->{json}{total_records}, 9, 'once each';
    return;
}


sub polls {
    my ($t) = @_;
    my $run = $t->run($t->conversation, script({ text => 'x', delay => 1.5 }));
    my $path = "/agents/runs/$run->{id}";
    $t->wait_for(5, sub {
        $t->get($path)->{json}{status} eq 'running' }) or die "not running\n";
    my $tag = $t->get($path)->{headers}{etag};
    my %known = (headers => { 'If-None-Match' => $tag });

    my ($refused, $waiting) = answered($t, 2, map {
        send_off($t, 'GET', "$path?wait=20", undef, %known) } 1 .. 8);
    is_deeply statuses(@$refused), [ 503, 503 ], 'more than may wait for long';
    overloaded($t->get("$path?wait=1", %known), 'a long poll');
    overloaded($t->get("$path/events"), 'a stream of events');
    is $t->get($path)->{status}, 200, 'a short one has its answer';
    is_deeply statuses(@$waiting), [ (200) x 6 ],
              'those who wait are told';
    is $t->get("$path?wait=1")->{status}, 200, 'then there is room again';
    return;
}


sub bodies {
    my ($t) = @_;
    my $large = $t->conversation_body(system_prompt => 'x' x 80_000);
    my $lock = $t->hold;
    my ($refused, $waiting) = answered($t, 1, map {
        send_off($t, 'POST', '/agents/conversations', $large) } 1 .. 2);
    is_deeply statuses(@$refused), [ 503 ], 'no room for a second large one';
    overloaded($t->post('/agents/conversations', '{' . ' ' x 80_000),
               'a large body');

    # of a length that only its end tells
    my $text = $t->raw(join("\r\n", 'POST /agents/conversations HTTP/1.1',
        'Host: test', 'Authorization: Bearer ' . $t->token,
        'Content-Type: application/json', 'Transfer-Encoding: chunked',
        'Connection: close', '', '13880', '{' . ' ' x 79_999, '0', '', ''));
    like $text, qr{^HTTP/1\.1 503.*/errors/overloaded}s, 'a chunked one';
    is $t->post('/agents/conversations', '{' . ' ' x 10_000)->{status}, 400,
       'a small one is read';
    close $lock;
    is_deeply statuses(@$waiting), [ 201 ], 'the one that was there is taken';
    ok $t->wait_for(5, sub {
        $t->post('/agents/conversations', $large)->{status} == 201 }),
       'and then the next';

    # larger than all the room: alone it is taken
    is $t->post('/agents/conversations', '{' . ' ' x 200_000)->{status}, 400,
       'a very large one is read, alone';

    # a client that leaves takes its body along
    for (1 .. 3) {
        my $socket = send_off($t, 'POST', '/agents/conversations',
                              '{' . ' ' x 90_000);
        close $socket;
    }
    ok $t->wait_for(5, sub {
        $t->post('/agents/conversations', '{' . ' ' x 90_000)->{status}
        == 400 }), 'nothing is kept of clients that have gone';
    return;
}


sub runs {
    my ($t) = @_;
    my @c = map { $t->conversation } 1 .. 4;
    my @runs = map { $t->run($c[$_], script({ text => 'x', delay => 1.5 })) }
               0 .. 2;
    my $body = $t->run_body($c[3], 'hello');
    my $path = "/agents/conversations/$c[3]{id}/runs";
    overloaded($t->post($path, $body), 'a fourth run');
    is $t->reread($c[3])->{version}, 0, 'nothing was changed';
    is $t->finished($_)->{final_text}, 'x', 'a run ends' for @runs;

    my $answer = $t->post($path, $body);
    is $answer->{status}, 202, 'then there is room, for the same id';
    is $t->finished($answer->{json})->{final_text}, 'echo: hello',
       'and it completes';
    return;
}


# More runs than it may have, which no one drives: as many at a time as it may.
sub claims {
    my ($t) = @_;
    my $http = $t->{http};
    $t->{http} =~ s/agents_max_runs 3/agents_max_runs 9/;
    $t->reload(gone => 1) or die "no reload\n";
    my @runs = map {
        $t->run($t->conversation, script({ text => 'x', delay => 1 }))
    } 1 .. 9;
    $t->stop('TERM');
    $t->mock->forget;
    $t->{http} = $http;
    $t->start;
    is_deeply [ map { $t->finished($_)->{final_text} } @runs ], [ ('x') x 9 ],
              'all end';
    my ($most) = map { $_ || 0 } values %{$t->mock->stats->{max_active}};
    ok $most <= 3, "as many at a time as it may have: $most";
    return;
}


# A turn of very many calls does not take all connections.
sub calls {
    my @calls = map { [ "mcp-echo", { text => "$_" } ] } 1 .. 150;
    my ($run, $c) = $t->flow(script({ tools => \@calls }, { text => 'end' }),
                             mcp => "/slow-call");
    is $run->{final_text}, 'end', 'the run completes'
        or diag explain $run->{error};
    my $most = $t->mock->stats->{max_active}{'/mcp/slow-call'};
    ok $most <= 64, "at most 64 calls at a time: $most";
    ok $most > 32, 'and no fewer than that without need';
    my ($tool) = grep { $_->{role} eq 'tool' } @{$t->messages($c)};
    is_deeply [ map { $_->{content}[0]{text} } @{$tool->{content_blocks}} ],
              [ map { $_->[1]{text} } @calls ], 'all results, in their order';
    return;
}
