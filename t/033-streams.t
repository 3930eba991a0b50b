# Replies that come as streams: read as they come, and whole or not at all.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use AgentsTest;

my $stop = '{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}';
my $type = { 'Content-Type' => 'text/event-stream; charset=utf-8' };

my $t = AgentsTest->new(workers => 1,
    provider => 'retries 2; timeout 20s;',
    model_line => ";\n        model plain provider=scripted id=plain "
                  . 'max_tokens=32000 no_stream')->start;

subtest 'asked for' => \&asked;
subtest 'slow' => \&slow;
subtest 'a server that does not stream' => \&whole;
subtest 'broken off' => \&broken;
subtest 'an error in its midst' => \&refused;
subtest 'open behind the end' => \&lingering;
subtest 'connections' => \&connections;
subtest 'what the model lacks' => \&lacks;
$t->clean('no error logged');

done_testing;


sub sent {
    my ($text) = @_;
    return grep { ref $_->{json} eq 'HASH' && index($_->{body}, $text) >= 0 }
           @{$t->mock->requests('/v1/chat')};
}


sub events {
    return join '', map { "data: $_\n\n" } @_;
}


sub says {
    my ($text) = @_;
    return qq({"choices":[{"index":0,"delta":{"content":"$text"}}]});
}


sub asked {
    my $run = $t->flow('asked for a stream');
    is $run->{final_text}, 'echo: asked for a stream', 'read together';
    is_deeply $run->{usage}, { prompt_tokens => 10, completion_tokens => 5,
                               total_tokens => 15 }, 'with its usage';
    my ($request) = sent('asked for a stream');
    ok $request->{json}{stream}, 'it was asked for';
    ok $request->{json}{stream_options}{include_usage}, 'with the usage';

    $run = $t->flow('asked for none', model => 'plain');
    is $run->{final_text}, 'echo: asked for none', 'a model without streams';
    ($request) = sent('asked for none');
    ok !exists $request->{json}{$_}, "no $_" for qw(stream stream_options);
    return;
}


sub slow {
    my $run = $t->flow(script(
        { text => 'one', tools => [ [ 'mcp-add', { a => 2, b => 3 } ] ],
          pace => 0.05 },
        { tool_results => 1, pace => 0.05 }), mcp => '');
    is $run->{status}, 'completed', 'events that come one by one';
    is $run->{final_text}, '5', 'are put together';
    return;
}


sub whole {
    my $run = $t->flow(script({ text => 'in one body', whole => 1 }));
    is $run->{final_text}, 'in one body', 'is understood';

    $run = $t->flow(script({ headers => { %$type }, times => 1,
                             body => '' }, { text => 'then' }));
    is $run->{status}, 'failed', 'an empty body is no reply';
    return;
}


sub broken {
    my $n = 0;
    for my $how (
        [ 'reset', { reset => 1, cut => 40 } ],
        [ 'closed too early', { cut => 60 } ],
        [ 'ended without an end', {} ],
        [ 'cut in an event', { body => 'data: {"choices":[{"index":0' } ],
    ) {
        my ($name, $answer) = @$how;
        my $text = 'broken ' . $n++;
        my $run = $t->flow(script(
            { headers => { %$type }, times => 1,
              body => events(says('lost')), %$answer },
            { text => $text }));
        is $run->{final_text}, $text, "$name: made again as a whole";
        is $run->{iterations_used}, 1, 'which is no iteration';
        is scalar(sent($text)), 2, 'by one more request';
    }

    my $run = $t->flow(script({ headers => { %$type },
                                body => events(says('never whole')) }));
    is $run->{error}{type}, 'AgentLoopInferenceFailed', 'again and again';
    like $run->{error}{message}, qr/broke off/, 'it fails';
    return;
}


sub refused {
    my $run = $t->flow(script(
        { headers => { %$type }, times => 1, body => events(says('a'),
            '{"error":{"type":"overloaded_error","message":"busy"}}') },
        { text => 'after it' }));
    is $run->{final_text}, 'after it', 'one that passes';

    $run = $t->flow(script({ headers => { %$type }, body => events(says('a'),
        '{"error":{"type":"invalid_request_error",'
        . '"message":"test-key is wrong"}}') }));
    is $run->{error}{type}, 'AgentLoopInferenceFailed', 'one that does not';
    like $run->{error}{message}, qr/\[api key\] is wrong/,
         'is told, but for the key';
    is scalar(sent('is wrong')), 1, 'by one request';
    return;
}


sub lingering {
    my $start = Time::HiRes::time();
    my $run = $t->flow(script({ headers => { %$type },
        chunks => [ [ 0, events(says('all of it'), $stop, '[DONE]') ] ],
        hang => 1 }));
    is $run->{final_text}, 'all of it', 'the reply is there';
    cmp_ok Time::HiRes::time() - $start, '<', 5, 'soon';
    is scalar(sent('all of it')), 1, 'by one request';
    return;
}


# Streams that end leave their connection for the next one; to ask for the
# number makes one.
sub connections {
    my $before = $t->mock->stats->{connections};
    $t->flow("one after another $_") for 1 .. 5;
    cmp_ok $t->mock->stats->{connections} - $before, '<=', 2,
           'are used again';
    return;
}


sub lacks {
    my $refusal = { status => 400, json => { error => { message =>
        "Unsupported value: 'temperature' does not support 0 with this "
        . 'model.' } } };
    my $run = $t->flow(script({ %$refusal, times => 1 },
                              { text => 'without it' }));
    is $run->{final_text}, 'without it', 'is not asked for again';
    is $run->{iterations_used}, 1, 'in the same iteration';
    is scalar(@{$run->{submitted_inference_job_ids}}), 1, 'of one id';
    is_deeply [ map { exists $_->{json}{temperature} ? 1 : 0 }
                sent('without it') ], [ 1, 0 ], 'the second without it';

    $t->flow('and the next one');
    my ($request) = sent('and the next one');
    ok !exists $request->{json}{temperature}, 'nor by the next run';

    my @said = $t->log =~ /is not asked for this any more/g;
    is scalar(@said), 1, 'the log says it once';

    $run = $t->flow(script({ %$refusal }));
    is $run->{error}{type}, 'AgentLoopInferenceFailed',
       'refused all the same, it fails';
    return;
}
