# What the platform and a provider keep between them is shown to nobody: the
# tool that stands in for a format, the request to mend an answer, and names that
# a provider would not take.  For signed reasoning see t/036-protocols.t.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use AgentsTest;

my $json = JSON::PP->new->canonical->allow_nonref;
my @protocols = AgentsTest::Protocols->all;
my @WAYS = ('streamed', 'whole');
my $SCHEMA = { type => 'object', required => [ 'n' ],
               properties => { n => { type => 'integer' } } };

my $first = 1;

for my $m (AgentsTest->matrix) {
    my $on = "on $m->{name}";
    my $t = AgentsTest->new(%$m,
        AgentsTest::Protocols->configured('', map { my $name = $_->name;
            [ "$name-plain-streamed", $name, 'no_native_format' ],
            [ "$name-plain-whole", $name, 'no_native_format no_stream' ] }
            @protocols),
        handlers => {
            '/odd' => AgentsTest::Mcp::handler(
                tools => [ { name => 'by day.of/week',
                             inputSchema => { type => 'object' } } ],
                call => sub { select undef, undef, undef, 0.3;
                    { content => [ { type => 'text', text => 'ok' } ] } }),
        })->start;

    for my $protocol ($first ? @protocols : $protocols[0]) {
        for my $way (@WAYS) {
            my $name = $protocol->name . ", $way";
            subtest "a tool in place of a format, $name $on"
                => sub { stand_in($t, $protocol, $way) };
        }
    }
    $first = 0;
    subtest "a request to mend $on" => sub { mended($t) };
    subtest "an odd name $on" => sub { odd_name($t) };
    $t->clean("$m->{name}: no error logged");
}

done_testing;


# The run at its end, and all that was ever shown of it meanwhile.
sub watched {
    my ($t, $c, $text) = @_;
    my $path = "/agents/runs/" . $t->run($c, $text)->{id};
    my (@seen, $run);

    $t->wait_for(30, sub {
        my $answer = $t->get($path);
        $run = $answer->{json};
        push @seen, $answer->{content};
        return $run->{status} !~ /^(?:pending|running)$/;
    }) or die "the run does not end\n";
    for my $of ("$c->{id}/messages", "$c->{id}/runs", $c->{id}) {
        push @seen, $t->get("/agents/conversations/$of")->{content};
    }
    return ($run, join "\n", @seen);
}


sub blocks { return map { @{$_->{content_blocks}} } @{$_[0]} }


sub stand_in {
    my ($t, $protocol, $way) = @_;
    my $model = $protocol->name . "-plain-$way";
    my $c = $t->conversation(model => $model, mcp => '',
                             output_format_schema => $SCHEMA);
    $t->mock->forget;
    my ($run, $seen) = watched($t, $c, script(
        { tools => [ [ 'mcp-slow', { seconds => 0.3 } ] ] },
        { text => 'So:', tools => [ [ 'final_answer-json', { n => 'seven' },
                                      'f0' ] ] },
        { tools => [ [ 'final_answer-json', { n => 7 }, 'f1' ] ] }));
    is_deeply $run->{final_structured_output}, { n => 7 }, 'an answer'
        or diag explain $run;
    is $run->{final_text}, undef, 'no text';
    is $run->{iterations_used}, 3, 'mended once';
    my @prompts = map { AgentsTest::Model::prompt($_) }
                  grep { AgentsTest::Protocols->of($_) }
                  @{$t->mock->requests};
    is scalar(grep { $_->{name} eq 'final_answer-json' }
              map { @{$_->{tools}} } @prompts), 3,
       'the model was offered the tool each time';
    is $_->{choice}, 'any', 'and asked for a call' for @prompts;

    # the script itself names it, in the user's own words
    my $words = $json->encode($run->{payload}{text});
    $seen =~ s/\Q$words\E//g;
    like $seen, qr/"turn_index":0/, 'a turn was seen live';
    unlike $seen, qr/final_answer|"f[01]"|seven/, 'the tool was not';
    my @blocks = blocks($t->messages($c));
    is_deeply [ map { $_->{type} } @blocks ],
              [ qw(text tool_use tool_result text) ], 'no call of it';
    is_deeply $json->decode($blocks[-1]{text}), { n => 7 },
              'one text block of JSON';
    return;
}


sub mended {
    my ($t) = @_;
    my $c = $t->conversation(mcp => '', output_format_schema => $SCHEMA);
    my ($run, $seen) = watched($t, $c, script(
        { tools => [ [ 'mcp-add', { a => 1, b => 2 } ] ] },
        { text => '{"n": "seventeen-and-wrong"}', delay => 0.2 },
        { text => '{"n": 17}', delay => 0.2 }));
    is_deeply $run->{final_structured_output}, { n => 17 }, 'an answer'
        or diag explain $run;
    is $run->{iterations_used}, 3, 'with a repair turn';

    my $words = $json->encode($run->{payload}{text});
    $seen =~ s/\Q$words\E//g;
    unlike $seen, qr/seventeen|does not match/, 'which was never seen';
    is_deeply [ map { $_->{role} } @{$t->messages($c)} ],
              [ qw(user assistant tool assistant) ], 'nor is it a message';
    return;
}


# Live, in the messages and in a run: the server's own name.
sub odd_name {
    my ($t) = @_;
    my $c = $t->conversation(mcp_servers => [
        { alias => 'odd', url => $t->mock->url('/odd') } ]);
    $t->mock->forget;
    $t->finished($t->run($c, 'what is there?'));
    my ($asked) = grep { $_->{path} =~ /completions/ } @{$t->mock->requests};
    my $wire = $asked->{json}{tools}[0]{function}{name};
    like $wire, qr/^[A-Za-z0-9_-]{1,64}$/, 'a name for the provider';

    my ($run, $seen) = watched($t, $t->reread($c), script(
        { tools => [ [ $wire, {}, 'o1' ] ] }, { text => 'done' }));
    is $run->{final_text}, 'done', 'called by it';
    my @names = $seen =~ /"name":"(odd-[^"]*)"/g;
    cmp_ok scalar @names, '>', 1, 'it was seen live, and in the messages';
    is_deeply [ grep { $_ ne 'odd-by day.of/week' } @names ], [],
              'always by its own';
    return;
}
