# A store that is not there: nginx starts all the same, says 503, and goes on
# by itself once the store has come.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use AgentsTest;

# callers that need no store to be known
my $AUTH = 'agents_auth variables acme $http_x_user "read,write";';
my %ANN = (headers => { 'X-User' => 'ann' });

my $postgres = AgentsTest::Postgres::available();

subtest 'SQLite without its directory' => \&sqlite;
subtest 'SQLite, and callers by token' => \&sqlite_token;

SKIP: {
    skip 'PostgreSQL is not installed', 3 unless $postgres;
    my $cluster = AgentsTest::Postgres->new;
    subtest 'PostgreSQL stopped' => sub { stopped($cluster) };
    subtest 'PostgreSQL not migrated' => sub { not_migrated($cluster) };
    subtest 'PostgreSQL goes and comes' => sub { goes($cluster) };
}

done_testing;


sub unavailable {
    my ($answer, $name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    is $answer->{status}, 503, "$name: 503" or diag $answer->{content};
    is $answer->{headers}{'content-type'}, 'application/problem+json',
       'a problem';
    like $answer->{headers}{'retry-after'}, qr/^\d+$/, 'Retry-After';
    is $answer->{json}{status}, 503, 'status';
    like $answer->{json}{log_id}, qr/^[0-9a-f]{32}$/, 'log_id';
    ok length $answer->{json}{$_}, $_ for qw(type title detail instance);
    unlike $answer->{content}, qr/sqlite|postgres|dbname|agents\.db/i,
           'nothing of how it is made';
    return;
}


sub all_unavailable {
    my ($t) = @_;
    my $c = { id => uuid() };
    unavailable($t->get('/agents/conversations', %ANN), 'a list');
    unavailable($t->get("/agents/conversations/$c->{id}", %ANN),
                'a conversation');
    unavailable($t->get("/agents/conversations/$c->{id}/messages", %ANN),
                'messages');
    unavailable($t->get("/agents/runs/$c->{id}", %ANN), 'a run');
    unavailable($t->post('/agents/conversations', $t->conversation_body,
                         %ANN), 'POST of a conversation');
    unavailable($t->post("/agents/conversations/$c->{id}/runs",
                         $t->run_body($c, 'x'), %ANN), 'POST of a run');
    is $t->post('/agents/conversations', '{', %ANN)->{status}, 400,
       'a bad body is still a 400';
    is $t->get('/agents/nonsense', %ANN)->{status}, 404,
       'a bad path still a 404';
    return;
}


# From 503 to a finished run, without any help.
sub recovers {
    my ($t, %o) = @_;
    ok $t->wait_for(20, sub {
        $t->get('/agents/conversations', %o)->{status} == 200 }), 'it recovers'
        or return diag $t->log;
    # writes may have connections of their own
    ok $t->wait_for(20, sub {
        $t->post('/agents/conversations', $t->conversation_body, %o)->{status}
        == 201 }), 'for writes, too';
    my $c = $t->conversation(as => \%o);
    my $run = $t->finished($t->run($c, 'hello', as => \%o), 30, %o);
    is $run->{final_text}, 'echo: hello', 'a run completes';
    return;
}


sub start {
    my ($store, %o) = @_;
    my $t = AgentsTest->new(store => $store, wait => 0, auth => $AUTH, %o);
    $t->allow(qr/store|sqlite|postgres|database/i);
    return $t;
}


sub sqlite {
    my $t = start('sqlite:');
    my $dir = $t->prefix . '/none/yet';
    $t->{store} = "sqlite:$dir/agents.db";
    $t->start;
    my @workers = $t->workers;
    all_unavailable($t);
    like $t->log, qr{none/yet}, 'the log says what is missing';

    mkdir $t->prefix . '/none';
    mkdir $dir;
    recovers($t, %ANN);
    is_deeply [ $t->workers ], [ @workers ], 'with the same workers'
        if @workers == 2;
    my $mode = sprintf '%o', (stat "$dir/agents.db")[2] & 0777;
    is $mode, '600', 'the file is the worker\'s alone';
    $t->clean;
    return;
}


sub sqlite_token {
    my $t = start('sqlite:', auth => undef);
    my $dir = $t->prefix . '/none';
    $t->{store} = "sqlite:$dir/agents.db";
    $t->start;
    unavailable($t->get('/agents/conversations', token => 'x' x 43),
                'a token that cannot be looked up');
    is $t->get('/agents/conversations', token => undef)->{status}, 401,
       'no token is a 401 all the same';

    mkdir $dir;
    recovers($t);
    is $t->get('/agents/conversations', token => 'x' x 43)->{status}, 401,
       'a bad one then, too';
    $t->clean;
    return;
}


sub stopped {
    my ($cluster) = @_;
    my $t = start($cluster->database);
    $t->ctl('migrate');
    $cluster->stop;
    $t->start;
    all_unavailable($t);
    $cluster->start;
    recovers($t, %ANN);
    $t->clean;
    return;
}


sub not_migrated {
    my ($cluster) = @_;
    my $t = start($cluster->database);
    $t->start;
    all_unavailable($t);
    like $t->log, qr/agentsctl migrate/, 'the log says what to run';
    $t->ctl('migrate');
    recovers($t, %ANN);
    $t->clean;
    return;
}


# With runs in flight: whatever has been accepted ends.
sub goes {
    my ($cluster) = @_;
    my $t = start($cluster->database, wait => 1);
    $t->ctl('migrate');
    $t->start;
    my @workers = $t->workers;

    my @runs = map {
        my $c = $t->conversation(as => \%ANN, mcp => '');
        $t->run($c, script({ tools => [ [ 'mcp-slow', { seconds => 0.5 } ] ],
                             delay => 0.5 }, { text => 'x', delay => 0.5 }),
                as => \%ANN);
    } 1 .. 6;

    $cluster->stop;
    unavailable($t->get('/agents/conversations', %ANN), 'in between');
    sleep 1;
    $cluster->start;
    recovers($t, %ANN);

    my @ends = map { $t->finished($_, 60, %ANN) } @runs;
    is_deeply [ map { $_->{final_text} } @ends ], [ ('x') x 6 ],
              'the runs that it met complete'
        or diag explain [ map { $_->{error} } @ends ];
    is_deeply [ $t->workers ], [ @workers ], 'with the same workers'
        if @workers == 2;
    $t->clean;
    return;
}
