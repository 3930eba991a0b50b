# The API's description: a linter finds nothing in it, and the check of
# recorded exchanges finds what it should.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use AgentsTest;
use AgentsTest::Openapi;
use AgentsTest::Record;
use File::Temp ();

plan skip_all => AgentsTest::Npm::why() unless AgentsTest::Openapi::tools();

my $json = JSON::PP->new->utf8->canonical->allow_nonref;
my $doc = $json->decode(AgentsTest::slurp($AgentsTest::Openapi::DOCUMENT));
my %example = map { $_ => $doc->{components}{examples}{$_}{value} }
              keys %{$doc->{components}{examples}};
my $CONVERSATIONS = '/agents/conversations';
my $RUN = "/agents/runs/$example{RunPending}{id}";
my $RUNS = "$CONVERSATIONS/$example{RunPending}{conversation_id}/runs";
my %accepted = (Location => $RUN);
my %etag = (ETag => '"0"');
my %stream = ('Content-Type' => 'text/event-stream');

subtest 'the linter' => \&linter;
subtest 'what makers of clients need' => \&makers;
subtest 'what is as the document says' => \&right;
subtest 'an answer that is not' => \&wrong_answers;
subtest 'a request that is not' => \&wrong_requests;

done_testing;


# All of the recommended rules, warnings too.
sub linter {
    my ($status, @lines) = AgentsTest::Openapi::node(
        '@redocly/cli/bin/cli.js', 'lint', '--format=json',
        '--extends=recommended', $AgentsTest::Openapi::DOCUMENT);
    my ($report) = "@lines" =~ /(\{.*\})/s;
    my $found = eval { $json->decode($report) } || {};
    is $status, 0, 'it ends well' or diag join "\n", @lines;
    is_deeply $found->{totals}, { errors => 0, warnings => 0, ignored => 0 },
              'and finds nothing'
        or diag join "\n", map { "$_->{ruleId}: $_->{message}" }
                @{$found->{problems}}[0 .. 9];
    return;
}


# openapi-python-client, for one, leaves out a schema with an array of nothing
# that is said, and answers whose status is an integer here, a constant there;
# it takes one that extends a single other for that other.
sub makers {
    my @places = ([ 'doc', $doc ]);
    my (@arrays, @constants, @single);

    while (my $place = shift @places) {
        my ($name, $value) = @$place;
        if (ref $value eq 'ARRAY') {
            push @places, map { [ "$name/$_", $value->[$_] ] } 0 .. $#$value;
        }
        next if ref $value ne 'HASH' || $name =~ m{/examples?$};
        push @places, map { [ "$name/$_", $value->{$_} ] } keys %$value;

        my $type = $value->{type};
        my @types = ref $type eq 'ARRAY' ? @$type
                    : ref $type ? () : grep { defined } $type;
        push @arrays, $name
            if grep({ $_ eq 'array' } @types) && !exists $value->{items};
        push @constants, $name
            if grep({ $_ eq 'integer' } @types) && exists $value->{const};
        push @single, $name
            if ref $value->{allOf} eq 'ARRAY' && @{$value->{allOf}} == 1
               && $value->{properties};
    }
    is_deeply \@arrays, [], 'each array says what it is of';
    is_deeply \@constants, [], 'a single number is an enum';
    is_deeply \@single, [], 'no schema extends a single other';

    my ($run, $bare) = @{$doc->{components}{schemas}}{qw(Run RunBare)};
    is_deeply $bare->{properties}, { map { $_ => $run->{properties}{$_} }
                                     grep { $_ ne 'live' }
                                     keys %{$run->{properties}} },
              'a run of events is a run without live';
    return;
}


# What the check says of these exchanges, each [method, path, body, status,
# headers, content]: (exit status, lines).
sub checked {
    my $folder = File::Temp::tempdir('agents-t-XXXXXX', TMPDIR => 1,
                                     CLEANUP => 1);
    local $ENV{AGENTS_RECORD} = $folder;
    AgentsTest::Record::reopen($folder);

    for (@_) {
        my ($method, $path, $body, $status, $headers, $content) = @$_;
        $content = $json->encode($content) if ref $content;
        $body = $json->encode($body) if ref $body;
        my $type = $status < 400 ? 'application/json'
                                 : 'application/problem+json';
        AgentsTest::Record::exchange($method, $path,
            { 'Content-Type' => 'application/json' }, $body,
            { status => $status, content => $content,
              headers => { 'Content-Type' => $type, %{$headers || {}} } });
    }
    return AgentsTest::Openapi::check($folder);
}


# Each is a pattern and an exchange that the check has to find it in.
sub found {
    my (@cases) = @_;
    my ($status, @lines) = checked(map { my (undef, @e) = @$_; \@e } @cases);
    my $summary = pop @lines;
    is $status, 1, $summary;
    is scalar @lines, scalar @cases, 'a finding in each'
        or diag join "\n", @lines;
    for my $i (0 .. $#cases) {
        like $lines[$i], $cases[$i][0], $lines[$i];
    }
    return;
}


# The example of this name, changed.
sub changed {
    my ($name, $change) = @_;
    my $value = $json->decode($json->encode($example{$name}));
    $change->($value);
    return $value;
}


sub right {
    my @exchanges = (
        [ 'GET', $RUN, undef, 200, \%etag, $example{RunCompleted} ],
        [ 'POST', $RUNS, $example{StartForced}, 202, \%accepted,
          $example{RunPending} ],
        [ 'POST', $CONVERSATIONS, { defaults => 1 }, 400, {},
          $example{ProblemAlias} ],
        [ 'HEAD', $RUN, undef, 200, \%etag, '' ],
        [ 'GET', "$RUN/events", undef, 200, \%stream, $example{Events} ],
        [ 'GET', '/agents/', undef, 404, {}, $example{ProblemNotFound} ]);
    my ($status, @lines) = checked(@exchanges);
    is $status, 0, 'nothing found' or diag join "\n", @lines;
    like $lines[-1], qr/^6 exchanges/, 'in all that there was';
    return;
}


sub wrong_answers {
    my @run = ('GET', $RUN, undef, 200, \%etag);
    my @events = ('GET', "$RUN/events", undef, 200, \%stream);
    my $done = $example{RunCompleted};
    found(
        [ qr/event delta: .*\(id\)/, @events,
          $example{Events} =~ s/(event: delta\n)/$1id: 1\n/r ],
        [ qr/event end: .*required property 'status'/, @events,
          $example{Events} =~ s/\{"status":"completed"\}/{}/r ],
        [ qr/event run: .*\(live\)/, @events,
          $example{Events} =~ s/("error":null)\}/$1,"live":{}}/r ],
        [ qr/cut off/, @events, $example{Events} =~ s/\n\z//r ],
        [ qr/required property 'error'/, @run,
          changed(RunCompleted => sub { delete $_[0]{error} }) ],
        [ qr/\(secret\)/, @run,
          changed(RunCompleted => sub { $_[0]{secret} = 1 }) ],
        [ qr/iterations_used must be integer/, @run,
          changed(RunCompleted => sub { $_[0]{iterations_used} = '1' }) ],
        [ qr/\(seconds\)/, @run,
          changed(RunCompleted => sub { $_[0]{usage}{seconds} = 1 }) ],
        [ qr/error\/type/, @run,
          changed(RunFailed => sub { $_[0]{error}{type} = 'AgentLoopX' }) ],
        [ qr/finished_at must be null/, @run,
          changed(RunCompleted => sub { $_[0]{status} = 'running' }) ],
        [ qr/status is not declared/, 'GET', $RUN, undef, 202, \%etag, $done ],
        [ qr/header Location is missing/, 'POST', $RUNS,
          $example{StartMessage}, 202, {}, $example{RunPending} ],
        [ qr/Location: .* must match/, 'POST', $RUNS, $example{StartMessage},
          202, { Location => '/runs' }, $example{RunPending} ],
        [ qr/header Retry-After is not declared/, 'GET', $RUN, undef, 200,
          { %etag, 'Retry-After' => 1 }, $done ],
        [ qr/html is not declared/, 'GET', $RUN, undef, 200,
          { %etag, 'Content-Type' => 'text/html' }, '<p>' ],
        [ qr/no JSON/, 'GET', $RUN, undef, 200, \%etag, '{"id": ' ],
        [ qr/Allow is "GET"/, 'OPTIONS', $RUN, undef, 204,
          { Allow => 'GET' }, '' ],
        [ qr/no such thing/, 'GET', '/agents/secrets', undef, 200, {}, {} ],
        [ qr/status must be equal to one of the/, 'GET', $RUN, undef, 404, {},
          changed(ProblemNotFound => sub { $_[0]{status} = 400 }) ]);
    return;
}


sub wrong_requests {
    my @create = ('POST', $CONVERSATIONS);
    my @made = (201, { Location =>
                       "$CONVERSATIONS/$example{ConversationNew}{id}" },
                $example{ConversationNew});
    found(
        [ qr/accepted a body.*max_iterations/, @create, changed(CreateHello =>
              sub { $_[0]{defaults}{max_iterations} = 101 }), @made ],
        [ qr/accepted a body.*\(extra\)/, @create,
          changed(CreateHello => sub { $_[0]{extra} = 1 }), @made ],
        [ qr/accepted a body that is no JSON/, @create, '{', @made ],
        [ qr/accepted a body.*version must be >= 0/, 'POST', $RUNS,
          changed(StartMessage => sub { $_[0]{expected_version} = -1 }), 202,
          \%accepted, $example{RunPending} ],
        [ qr/refused a body that the document allows: \/defaults\/mcp/,
          @create, $example{CreateDocs}, 400, {}, $example{ProblemAlias} ],
        [ qr/accepted per_page=0/, 'GET', "$CONVERSATIONS?per_page=0", undef,
          200, {}, $example{Conversations} ]);
    return;
}
