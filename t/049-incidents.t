# Runs that cannot go on, through no fault of the model's: the configuration has
# changed under them, worker after worker has died with them, what is stored
# cannot be read.  Each ends as failed, with a code of its own.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use AgentsTest;

my $t;

for my $m (AgentsTest->matrix) {
    my $on = "on $m->{name}";
    $t = AgentsTest->new(%$m, http => 'agents_drain_timeout 15s;',
        plane => 'cluster narrow max_inferences=1;'
                 . ' model gone provider=scripted id=gone max_tokens=100;')
        ->start;

    subtest "taken over again and again $on" => \&abandoned;
    subtest "what cannot be read $on" => \&unreadable;
    # the last one: it takes a model away
    subtest "a configuration that changes $on" => \&changed;
    $t->clean("$m->{name}: no other error logged");
}

done_testing;


sub is_failed {
    my ($run, $incident, $slug, $title) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    is $run->{status}, 'failed', 'it fails';
    is_deeply { map { $_ => $run->{error}{$_} } qw(type title docs_url) },
              { type => $incident, title => $title,
                docs_url => $t->base . "/errors/$slug" }, $incident
        or diag explain $run->{error};
    ok length $run->{error}{message}, 'with a message';
    ok defined $run->{finished_at}, 'and an end';
    is_deeply $run->{live}{messages}, [], 'nothing is live';
    return;
}


# A run with a finished turn, as two workers in a row have left it that died.
sub abandoned {
    my $c = $t->conversation(mcp => '');
    my $run = $t->run($c, script(
        { tools => [ [ 'mcp-add', { a => 1, b => 2 } ] ] },
        { text => 'too late', delay => 3 }));
    $t->wait_for(10, sub {
        grep { @{$_->{json}{messages} || []} == 3 }
        @{$t->mock->requests('/v1/chat')} }) or die "no second inference\n";
    $t->mock->forget;
    $t->sql("UPDATE agents_runs SET owner = NULL, epoch = epoch + 1,"
        . " takeovers = 2 WHERE id = '$run->{id}';");

    $run = $t->finished($run, 20);
    is_failed($run, 'AgentLoopAbandoned', 'abandoned', 'Abandoned');
    is_deeply $t->mock->requests('/v1/chat'), [], 'the model is not asked';
    is_deeply [ map { $_->{role} } @{$t->messages($c)} ],
              [ qw(user assistant tool) ], 'what was done is committed';
    $c = $t->reread($c);
    is $c->{version}, 3, 'with the version';
    is $t->finished($t->run($c, 'again'))->{final_text}, 'echo: again',
       'the conversation goes on';
    return;
}


sub unreadable {
    $t->allow(qr/stored run cannot be read/);
    my ($run, $c) = $t->flow('hello');
    $t->sql("UPDATE agents_messages SET content = 'nonsense'"
        . " WHERE conversation_id = '$c->{id}' AND sequence_no = 2;");
    is_failed($t->finished($t->run($c, 'again')), 'AgentLoopInternal',
              'internal-error', 'Internal Error');
    is $t->reread($c)->{version}, 2, 'nothing is committed';
    is $t->get("/agents/runs/$run->{id}")->{json}{final_text}, 'echo: hello',
       'another run of it is as it was';
    is $t->flow('hello')->{final_text}, 'echo: hello', 'others go on';
    return;
}


# Accepted, and in line for its first inference when the model goes.
sub changed {
    my $first = $t->run($t->conversation(execution_cluster => 'narrow'),
                        script({ text => 'first', delay => 1.5 }));
    $t->wait_for(10, sub {
        grep { $_->{body} =~ /first/ } @{$t->mock->requests('/v1/chat')} })
        or die "no inference\n";
    my $c = $t->conversation(execution_cluster => 'narrow', model => 'gone');
    my $run = $t->run($c, 'x');

    local $t->{plane} = 'cluster narrow max_inferences=1;';
    ok $t->reload, 'a reload without its model';
    is_failed($t->finished($run, 20), 'AgentLoopInvalidEffectiveConfig',
              'invalid-effective-config', 'Invalid Effective Config');
    is $t->reread($c)->{version}, 0, 'nothing is committed';
    is $t->finished($first, 20)->{final_text}, 'first',
       'one of a model that stays completes';
    my $other = $t->run($c, 'y', config_override =>
                        { model => $AgentsTest::MODEL });
    is $t->finished($other, 20)->{final_text}, 'echo: y',
       'with another model the conversation goes on';
    return;
}
