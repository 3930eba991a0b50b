# Nobody sees what is another user's, of the same company or of another one:
# the answers are those for what never existed.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use AgentsTest;
use AgentsTest::Burst;
use AgentsTest::Metrics;

my @OTHERS = ({ user => 'bob' }, { user => 'ann', company => 'rival' },
              { user => 'ANN' }, { user => 'ann', company => 'acme ' });

for my $m (AgentsTest->matrix) {
    my $store = $m->{name};
    my $t = AgentsTest->new(%$m, server =>
        'location = /metrics { agents_metrics; }')->start;
    my $c = $t->conversation(name => 'secret', tools => [ { name => 'ask',
        input_schema => { type => 'object' } } ]);
    my $run = $t->finished($t->run($c, script({ tools => [ [ 'ask', {},
                                                             'id1' ] ] })));
    $c = $t->reread($c);

    for my $who (@OTHERS) {
        my $name = join ' of ', $who->{user}, $who->{company} || 'acme';
        subtest "reads of $name on $store" => sub { reads($t, $c, $run, $who) };
        subtest "writes of $name on $store" => sub { writes($t, $c, $who) };
        subtest "lists of $name on $store" => sub { lists($t, $c, $who) };
    }
    subtest "malformed ids on $store" => sub { malformed($t) };
    subtest "one way to a 404 on $store" => sub { one_way($t, $c, $run) };
    subtest "all at once on $store" => sub { at_once($t, $run) };
    subtest "permissions on $store" => sub { permissions($t, $c, $run) };
    subtest "the owner on $store" => sub { owner($t, $c, $run) };
    $t->clean("$store: no error logged");
}

done_testing;


# The answer is a 404 like that for an id that never was.
sub is_same_404 {
    my ($got, $never, $name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    is $got->{status}, 404, "$name: 404" or diag $got->{content};
    is_deeply without($got->{json}, qw(instance log_id)),
              without($never->{json}, qw(instance log_id)), 'the same body';
    is_deeply [ sort keys %{$got->{json}} ], [ sort keys %{$never->{json}} ],
              'the same members';
    is_deeply without($got->{headers}, qw(date content-length)),
              without($never->{headers}, qw(date content-length)),
              'the same headers';
    is length $got->{content}, length $never->{content}, 'the same length';
    unlike $got->{content}, qr/secret/, 'nothing of it';
    return;
}


sub without {
    my ($hash, @keys) = @_;
    my %rest = %{$hash || {}};
    delete @rest{@keys};
    return \%rest;
}


sub reads {
    my ($t, $c, $run, $who) = @_;
    my %paths = (
        conversation => [ '/agents/conversations/%s', $c->{id} ],
        messages => [ '/agents/conversations/%s/messages?since=0', $c->{id} ],
        run => [ '/agents/runs/%s', $run->{id} ],
        'a conversation as a run' => [ '/agents/runs/%s', $c->{id} ],
        'a run as a conversation' => [ '/agents/conversations/%s',
                                       $run->{id} ],
    );
    for my $what (sort keys %paths) {
        my ($path, $id) = @{$paths{$what}};
        is_same_404($t->get(sprintf($path, $id), %$who),
                    $t->get(sprintf($path, uuid()), %$who), $what);
    }
    return;
}


sub writes {
    my ($t, $c, $who) = @_;
    my $path = '/agents/conversations/%s/runs';
    my %bodies = (
        'a fresh message' => $t->run_body($c, 'x'),
        'a stale version' => $t->run_body($c, 'x', expected_version => 0),
        'tool outputs' => $t->run_body($c, { kind => 'tool_outputs',
            outputs => [ { tool_use_id => 'id1', content => 'x' } ] }),
    );
    for my $what (sort keys %bodies) {
        is_same_404($t->post(sprintf($path, $c->{id}), $bodies{$what}, %$who),
                    $t->post(sprintf($path, uuid()), $bodies{$what}, %$who),
                    $what);
    }
    my $bad = $t->post(sprintf($path, $c->{id}), { nonsense => 1 }, %$who);
    is $bad->{status}, 400, 'a bad body is a 400 first';
    is $t->reread($c)->{version}, 2, 'nothing changed';
    return;
}


sub lists {
    my ($t, $c, $who) = @_;
    my $page = $t->get('/agents/conversations', %$who)->{json};
    is $page->{total_records}, 0, 'none of it is listed';
    is_deeply $page->{records}, [], 'nor counted';

    my $own = $t->conversation(name => 'own', as => $who);
    $page = $t->get('/agents/conversations', %$who)->{json};
    is_deeply [ map { $_->{id} } @{$page->{records}} ], [ $own->{id} ],
              'one\'s own is';
    is $t->get("/agents/conversations/$own->{id}")->{status}, 404,
       'and not for ann';

    my $run = $t->run($own, 'hello', as => $who);
    is $t->finished($run, 10, %$who)->{final_text}, 'echo: hello',
       'it can be used';
    is $t->get("/agents/runs/$run->{id}")->{status}, 404, 'but not by ann';
    return;
}


sub malformed {
    my ($t) = @_;
    my $never = $t->get('/agents/runs/' . uuid());
    for my $id ('x', '1', 'null', 'f79cbdae-4848-47ca-95e8-69588364d18',
                'f79cbdae484847ca95e869588364d185', "%27%20OR%201=1",
                'f79cbdae-4848-47ca-95e8-69588364d18g', 'a' x 300) {
        my $got = $t->get("/agents/runs/$id");
        is $got->{status}, 404, substr "404 for $id", 0, 40;
        is_deeply without($got->{json}, qw(instance log_id)),
                  without($never->{json}, qw(instance log_id)),
                  'as for a missing one';
    }
    return;
}


# Each of these costs the same reads of the store, and no write.
sub one_way {
    my ($t, $c, $run) = @_;
    my $reads = sub {
        my ($values) = AgentsTest::Metrics::read(
            $t->get('/metrics', token => undef)->{content});
        my $n = 0;
        $n += $values->{$_} for grep { /^agents_store_batches_total\{kind="read"/ }
                                keys %$values;
        return $n;
    };
    my @paths = ([ GET => '/agents/conversations/%s', $c->{id} ],
                 [ GET => '/agents/conversations/%s/messages', $c->{id} ],
                 [ GET => '/agents/conversations/%s/runs', $c->{id} ],
                 [ GET => '/agents/runs/%s', $run->{id} ],
                 [ POST => '/agents/conversations/%s/runs', $c->{id} ]);
    my @bob = (user => 'bob');
    $t->get('/agents/conversations', @bob);

    for (@paths) {
        my ($method, $path, $id) = @$_;
        my $body = $method eq 'POST' ? $t->run_body($c, 'x') : undef;
        my @cost = map {
            my $before = $reads->();
            for my $n (1 .. 3) {
                is $t->request($method, sprintf($path, $_), $body, @bob)
                     ->{status}, 404, "$method $path: 404";
            }
            $reads->() - $before;
        } $id, uuid(), 'x';
        cmp_ok $cost[0], '>=', 3, 'the store was asked';
        is_deeply [ @cost[1, 2] ], [ @cost[0, 0] ],
                  "the same for another's, for none, for no id: $cost[0]";
    }
    return;
}


# Reads of one moment may become one of the store: of the same run by who may
# see it and who may not, of each one's own, and of none.
sub at_once {
    my ($t, $run) = @_;
    my @who = ({}, @OTHERS);
    my @own = ($run, map {
        my $c = $t->conversation(as => $_);
        $t->finished($t->run($c, 'hello', as => $_), 10, %$_);
    } @OTHERS);
    my (@requests, @wanted);

    for my $round (1 .. 8) {
        for my $i (0 .. $#who) {
            push @requests, map { [ GET => "/agents/runs/$_", undef,
                                    %{$who[$i]} ] }
                            $run->{id}, uuid(), $own[$i]{id}, $own[$i - 1]{id};
            push @wanted, $i ? 404 : $run->{id}, 404, $own[$i]{id}, 404;
        }
    }
    my @got = map { $_->{status} == 200 ? $_->{json}{id} : $_->{status} }
              burst($t, @requests);
    is_deeply \@got, \@wanted, scalar(@got) . ' reads: each sees its own';
    return;
}


sub permissions {
    my ($t, $c, $run) = @_;
    my @reader = (permissions => [ 'read' ]);
    my @writer = (permissions => [ 'write' ]);
    my $runs = "/agents/conversations/$c->{id}/runs";

    is $t->get("/agents/runs/$run->{id}", @reader)->{status}, 200, 'reading';
    is $t->get("/agents/runs/$run->{id}", @writer)->{status}, 403,
       'reading without the permission';
    is $t->get('/agents/runs/' . uuid(), @writer)->{status}, 403,
       'whether it exists or not';
    my $answer = $t->post($runs, $t->run_body($c, 'x'), @reader);
    is $answer->{status}, 403, 'writing without the permission';
    like $answer->{headers}{'www-authenticate'},
         qr/^Bearer .*error="insufficient_scope"/, 'WWW-Authenticate';

    $answer = $t->get("/agents/runs/$run->{id}", token => undef);
    is $answer->{status}, 401, 'no token';
    is $answer->{headers}{'www-authenticate'}, 'Bearer', 'WWW-Authenticate';
    $answer = $t->get("/agents/runs/$run->{id}", token => 'x' x 43);
    is $answer->{status}, 401, 'a bad token';
    like $answer->{headers}{'www-authenticate'},
         qr/^Bearer .*error="invalid_token"/, 'WWW-Authenticate';
    return;
}


sub owner {
    my ($t, $c, $run) = @_;
    is $t->get("/agents/runs/$run->{id}")->{json}{id}, $run->{id},
       'ann sees her run';
    is $t->get('/agents/conversations')->{json}{total_records}, 1,
       'and one conversation';
    return;
}
