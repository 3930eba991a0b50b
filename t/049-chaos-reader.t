# What the clients of the chaos tests notice: answers that are right, and ones
# that are not, each with the one thing that is said of it.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use AgentsTest;
use AgentsTest::Chaos::Client;

my $json = JSON::PP->new->canonical;
my (@answers, @said);

# A client that is told what the answers are, and leaves nothing to chance.
{
    package Told;
    our @ISA = ('AgentsTest::Chaos::Client');
    sub ask { return shift @answers }
    sub now_and_then { return 1 }
    sub below { return 0 }
    sub report { my ($self, %line) = @_; push @said, \%line; return }
}

my $use = { type => 'tool_use', tool_use_id => 'a', name => 'mcp-echo',
            arguments => { text => 'a' } };
my $result = { type => 'tool_result', tool_use_id => 'a', is_error => 0,
               content => [ { type => 'text', text => 'a' } ] };

# Nothing, then what is wrong: a name, what is called with which answers, words.
my @CASES = (
    [ 'a version that goes back', look_conversation =>
      [ conversation('"1"', version => 4), conversation('"2"', version => 2) ],
      qr/version 2 after 4/ ],
    [ 'two bodies of one ETag', look_conversation =>
      [ conversation('"1"', version => 2),
        conversation('"1"', version => 2, name => 'x') ],
      qr/two bodies of one ETag/ ],
    [ 'a status that goes back', look_run =>
      [ run('"1"', status => 'running'), run('"2"', status => 'pending') ],
      qr/pending after rank 1/ ],
    [ 'fewer iterations', look_run =>
      [ run('"1"', iterations_used => 2), run('"2"', iterations_used => 1) ],
      qr/iterations 1 after 2/ ],
    [ 'other job ids', look_run =>
      [ run('"1"', submitted_inference_job_ids => [ 'x' ]),
        run('"2"', submitted_inference_job_ids => [ 'y' ]) ],
      qr/job ids y after x/ ],
    [ 'a live turn that is gone', look_run =>
      [ run('"1"', live([ assistant => $use ], [ tool => $result ])),
        run('"2"', live([ assistant => $use ])) ],
      qr/no longer live: tool/ ],
    [ 'a 304 too early', look_run =>
      [ run('"1"'), { status => 304, headers => {} } ],
      qr/304 after 0\.\d+ s of a second/ ],
    [ 'a 200 where nothing has changed', look_run =>
      [ run('"1"'), run('"1"') ],
      qr/200 with the ETag that was given/ ],
    [ 'an end, and a live turn', look_run =>
      [ run('"1"', live([ assistant => $use ])),
        run('"2"', status => 'completed', live([ assistant => $use ])) ],
      qr/terminal, and live/ ],
    [ 'a run that is gone', look_run =>
      [ run('"1"'), { status => 404, content => 'gone' } ],
      qr/GET of a run: 404 gone/ ],
    [ 'a message that changes', look_messages =>
      [ messages(1, message(1, 'x')), messages(1, message(1, 'y')) ],
      qr/message 0 has changed/ ],
    [ 'a hole', look_messages =>
      [ messages(1, message(1, 'x')),
        messages(3, message(1, 'x'), message(3, 'y')) ],
      qr/message 3 at 2/ ],
    [ 'fewer messages than the version says', look_messages =>
      [ messages(1, message(1, 'x')), messages(2, message(1, 'x')) ],
      qr/version 2 and messages up to 1/ ],
    [ 'another run for one client_op_id', replay =>
      [ { status => 202, json => { id => 'r' } },
        { status => 202, json => { id => 's' } } ],
      qr/a replay gave the run s/ ],
    [ 'a second run', last_look =>
      [ { status => 200, json => { records => [ { id => 'r' } ] } },
        { status => 200, json => { records => [ { id => 'r' },
                                                { id => 's' } ] } } ],
      qr/its runs are r s, and not r/ ],
    [ 'what is deleted, and there', removed =>
      [ { status => 404 }, { status => 200 } ],
      qr/deleted, and still there: 200/ ],
    [ 'a live turn that is no message', ended =>
      [ ended(assistant => $use), ended(user => $use) ],
      qr/was live, and is no message: assistant/ ],
    [ 'a result of another call', ended =>
      [ ended(assistant => $use),
        ended(assistant => { %$use, arguments => { text => 'b' } }) ],
      qr/the call a gave a/ ],
);

for (@CASES) {
    my ($name, $look, $answers, $words) = @$_;
    subtest $name => sub {
        my $client = bless { count => {} }, 'Told';
        my $flow = { label => 'L', id => 'c', version => 0, messages => [],
                     bodies => {}, runs => [ 'r' ], run => { id => 'r',
                         rank => 0, iterations_used => 0, total_tokens => 0,
                         jobs => '', bodies => {}, blocks => {} },
                     plan => { text => 'end' }, kind => 'tools' };
        if ($look eq 'ended') {
            $flow->{run}{end} = run('', status => 'completed',
                                    final_text => 'end')->{json};
            $flow->{run}{blocks} = { 'assistant ' . $json->encode($use) => 1 };
        }
        for my $i (0, 1) {
            @answers = $answers->[$i];
            @said = ();
            $flow->{messages} = [] if $look eq 'ended';
            $client->$look($flow);
            my @wrong = map { $_->{wrong} || () } @said;
            $i == 0 ? is_deeply \@wrong, [], 'what is right'
                    : like join("\n", @wrong), $words, 'what is not';
        }
    };
}

done_testing;


sub conversation {
    my ($etag, %fields) = @_;
    return { status => 200, headers => { etag => $etag }, json => \%fields,
             content => $json->encode(\%fields) };
}


sub run {
    my ($etag, %fields) = @_;
    return conversation($etag, status => 'running', iterations_used => 0,
        usage => { total_tokens => 0 }, submitted_inference_job_ids => [],
        pending_tool_calls => [], final_text => undef, error => undef,
        final_structured_output => undef, live => { messages => [] },
        %fields);
}


sub live {
    return (live => { messages => [ map { {
        role => $_->[0], content_blocks => [ $_->[1] ] } } @_ ] });
}


sub message {
    my ($n, $text) = @_;
    return { sequence_no => $n, run_id => 'r', role => 'user',
             content_blocks => [ { type => 'text', text => $text } ] };
}


sub messages {
    my ($version, @messages) = @_;
    return { status => 200, json => { current_version => $version,
                                      messages => \@messages } };
}


# A turn of a call and its result, and who has said the call.
sub ended {
    my ($role, $block) = @_;
    return messages(2, { %{message(1)}, role => $role,
                         content_blocks => [ $block ] },
                    { %{message(2)}, role => 'tool',
                      content_blocks => [ $result ] });
}
