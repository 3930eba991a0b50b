# Titles: the first run of a conversation without a name asks a model for one,
# beside the run, and never in its way.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use AgentsTest;

my $model = AgentsTest::Model::handler();

for my $m (AgentsTest->matrix) {
    my $store = $m->{name};
    my $t = AgentsTest->new(%$m,
        handlers => { '/v1/chat/completions' => \&reply },
        model_line => ";\n        model plain provider=scripted id=plain-id "
                      . "max_tokens=100",
        plane => 'cluster one max_inferences=1; '
                 . 'cluster two max_inferences=2;')->start;

    subtest "a title on $store" => sub { titled($t) };
    subtest "names stay on $store" => sub { named($t) };
    subtest "the first run alone on $store" => sub { first_run($t) };
    subtest "a slow title on $store" => sub { slow($t) };
    subtest "no title on $store" => sub { none($t) };
    subtest "in a bounded cluster on $store" => sub { bounded($t) };
    subtest "a reload on $store" => sub { reload($t) };
    $t->clean("$store: no error logged");
}

marked();

done_testing;


# Asked for a title, it does what the message says in "[title: ...]".
sub reply {
    my ($req) = @_;
    return $model->($req) unless AgentsTest::Model::is_title($req);

    my $prompt = AgentsTest::Model::prompt($req);
    my $text = $prompt->{messages}[-1]{content};
    my ($want) = $text =~ /\[title: (.*?)\]/;
    my %entry = (text => defined $want ? $want : 'A Title');
    return { status => 500, json => { error => { message => 'no' } },
             headers => { 'Retry-After' => 100 } } if $entry{text} eq 'fail';
    $entry{delay} = $1 if $entry{text} =~ s/^(\d[\d.]*) s //;
    return AgentsTest::Model::completion(\%entry, $prompt);
}


sub title_requests {
    my ($t, $text) = @_;
    return grep { AgentsTest::Model::is_title($_)
                  && $_->{body} =~ /\Q$text\E/ }
           grep { ref $_->{json} eq 'HASH' } @{$t->mock->requests};
}


sub named_as {
    my ($t, $conversation, $name) = @_;
    return $t->wait_for(20, sub {
        my $now = $t->reread($conversation)->{name};
        return defined $now && $now eq $name;
    });
}


sub titled {
    my ($t) = @_;
    my $c = $t->conversation(name => undef);
    is $c->{name}, undef, 'no name at first';

    my $run = $t->run($c, 'What is a title? [title: "The First One."]');
    is $run->{live}{current_name}, undef, 'nor when the run begins';
    my $done = $t->finished($run);
    is $done->{status}, 'completed', 'the run completes';
    ok named_as($t, $c, 'The First One'), 'then it has one';

    my $now = $t->get("/agents/runs/$run->{id}")->{json};
    is $now->{live}{current_name}, 'The First One', 'the run shows it';
    is $t->reread($c)->{version}, 2, 'the version is what the run made of it';
    is scalar(@{$t->messages($c)}), 2, 'no message of it';
    is_deeply $now->{usage}, $done->{usage}, 'nor in the usage';
    is_deeply $now->{usage}, { prompt_tokens => 10, completion_tokens => 5,
                               total_tokens => 15 }, 'which is one reply';
    is scalar(@{$now->{submitted_inference_job_ids}}), 1, 'nor a job';

    my ($asked, @more) = title_requests($t, 'The First One');
    is scalar(@more), 0, 'one request';
    is $asked->{json}{tools}, undef, 'without tools';
    return;
}


sub named {
    my ($t) = @_;
    my $c = $t->conversation(name => 'Its Own');
    $t->finished($t->run($c, 'named [title: Other]'));

    my $d = $t->conversation(name => '');
    my $run = $t->run($d, 'set meanwhile [title: 1 s Late Title]');
    $t->wait_for(10, sub { title_requests($t, 'set meanwhile') });
    my $answer = $t->patch("/agents/conversations/$d->{id}",
                           { name => 'By Hand' });
    is $answer->{status}, 200, 'a name is given while the model thinks';
    ok $t->wait_for(10, sub { idle($t) }), 'the job ends';
    is $t->reread($d)->{name}, 'By Hand', 'and does not overwrite it';
    is $t->reread($c)->{name}, 'Its Own', 'another keeps its own';
    is scalar(title_requests($t, 'named [title')), 0, 'no one was asked';
    return;
}


# No request of the mock is on its way any more.
sub idle {
    my ($t) = @_;
    return !$t->mock->stats->{active}{'/v1/chat/completions'};
}


sub first_run {
    my ($t) = @_;
    my $c = $t->conversation(name => undef);
    my $failed = $t->finished($t->run($c, script({ status => 400,
        json => { error => { message => 'no title either [title: fail]' } } })));
    is $failed->{status}, 'failed', 'a first run that fails';
    is $t->reread($c)->{version}, 0, 'and says nothing';

    $t->finished($t->run($c, 'second run [title: Second]'));
    $t->finished($t->run($t->reread($c), 'third run [title: Third]'));
    is scalar(title_requests($t, 'second run')), 0, 'the second asks no one';
    is scalar(title_requests($t, 'third run')), 0, 'nor does the third';
    return;
}


sub slow {
    my ($t) = @_;
    my $c = $t->conversation(name => undef);
    my $start = Time::HiRes::time();
    my $run = $t->finished($t->run($c, 'slow one [title: 3 s Slow Title]'));
    is $run->{status}, 'completed', 'the run does not wait';
    cmp_ok Time::HiRes::time() - $start, '<', 2.5, 'for its title';
    is $run->{live}{current_name}, undef, 'which is not there yet';
    ok named_as($t, $c, 'Slow Title'), 'and comes later';
    return;
}


sub none {
    my ($t) = @_;
    my $c = $t->conversation(name => undef);
    my $run = $t->finished($t->run($c, 'no title [title: ""]'));
    is $run->{status}, 'completed', 'an empty reply does not matter';

    my $d = $t->conversation(name => undef);
    $run = $t->finished($t->run($d, 'no title [title: fail]'));
    is $run->{status}, 'completed', 'nor does an error';
    ok $t->wait_for(10, sub { $t->log =~ /no title for the agents conversation \Q$c->{id}\E: the model's reply has none/ }),
       'the log says so';
    is $t->reread($_)->{name}, undef, 'no name' for $c, $d;
    return;
}


sub bounded {
    my ($t) = @_;
    my $c = $t->conversation(name => undef, execution_cluster => 'one',
                             mcp => '');
    my $run = $t->run($c, script(
        { tools => [ [ 'mcp-slow', { seconds => 0.4 } ] ] },
        { text => 'done [title: After It]', delay => 0.1 }));
    $run = $t->finished($run);
    is $run->{status}, 'completed', 'one place: the run has it';
    ok named_as($t, $c, 'After It'), 'and the title comes after it';
    my ($title) = title_requests($t, 'After It');
    my @own = grep { ref $_->{json} eq 'HASH' && $_->{body} =~ /After It/
                     && $_->{path} =~ /completions/
                     && !AgentsTest::Model::is_title($_) }
              @{$t->mock->requests};
    cmp_ok $title->{at}, '>=', $own[-1]{at}, 'later than all of it';

    my $d = $t->conversation(name => undef, execution_cluster => 'two');
    $run = $t->run($d, script({ delay => 2, text => '[title: Beside It]' }));
    ok named_as($t, $d, 'Beside It'), 'two places: the title comes';
    like $t->get("/agents/runs/$run->{id}")->{json}{status},
         qr/^(?:pending|running)$/, 'while the run goes on';
    $t->finished($run);
    return;
}


# A worker that is told to quit lets a title come to its end.
sub reload {
    my ($t) = @_;
    my $c = $t->conversation(name => undef);
    $t->finished($t->run($c, 'reload [title: 1 s Across A Reload]'));
    $t->wait_for(10, sub { title_requests($t, 'reload') });
    $t->reload;
    ok named_as($t, $c, 'Across A Reload'), 'a reload takes none away';
    return;
}


# The model that the operator marked is asked, whatever the run's own is.
sub marked {
    my $t = AgentsTest->new(
        handlers => { '/v1/chat/completions' => \&reply },
        model_line => ";\n        model plain provider=scripted id=plain-id "
                      . "max_tokens=100")->start;
    my $c = $t->conversation(name => undef, model => 'plain',
                             max_tokens => 10);
    $t->finished($t->run($c, 'marked [title: By The Marked]'));
    ok named_as($t, $c, 'By The Marked'), 'a title';
    my ($asked) = title_requests($t, 'By The Marked');
    is $asked->{json}{model}, 'scripted', 'of the model that is marked';
    $t->clean('no error logged');

    $t = AgentsTest->new(
        handlers => { '/v1/chat/completions' => \&reply },
        replace => { ' title' => '' })->start;
    $c = $t->conversation(name => undef);
    $t->finished($t->run($c, 'unmarked [title: By Its Own]'));
    ok named_as($t, $c, 'By Its Own'), 'else of the run\'s own';
    $t->clean('no error logged');
    return;
}
