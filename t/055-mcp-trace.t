# W3C Trace Context: what the POST of a run says of its trace goes with every
# request to the run's MCP servers, whichever worker makes it, and shows nowhere
# else.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use AgentsTest;

my $ID = '4bf92f3577b34da6a3ce929d0e0e4736';
my $PARENT = "00-$ID-00f067aa0ba902b7-01";
my $STATE = 'rojo=00f067aa0ba902b7, congo="a\\b"';

for my $m (AgentsTest->matrix) {
    my $t = AgentsTest->new(%$m)->start;
    subtest "passed on with $m->{name}" => sub { passed_on($t) };
    subtest "not a valid one with $m->{name}" => sub { invalid($t) };
    subtest "shown nowhere with $m->{name}" => sub { shown($t) };
    subtest "sent again with $m->{name}" => sub { replayed($t) };
    subtest "by another worker with $m->{name}" => sub { taken_over($t) };
    $t->clean("$m->{name}: no error logged");
}

done_testing;


sub start {
    my ($t, $way, $headers, @script) = @_;
    my $c = $t->conversation(name => 'x', mcp => $way);
    $t->mock->forget;
    return ($c, $t->run($c, script(@script ? @script : (
        { tools => [ [ 'mcp-add', { a => 2, b => 3 } ] ] },
        { tool_results => 1 })), as => { headers => $headers }));
}


sub play {
    my ($t, $way, $headers) = @_;
    my ($c, $run) = start(@_);
    $run = $t->finished($run);
    is $run->{final_text}, '5', "$way: completed"
        or diag explain $run->{error};
    # the end of a session is told in the background
    $t->wait_for(5, sub { grep { $_->{method} eq 'DELETE' } requests($t) })
        if $way =~ /session/;
    return ($c, $run);
}


sub requests {
    my ($t) = @_;
    return @{$t->mock->requests('/mcp')};
}


# What does not say it, in headers and, where it asks for something, in _meta.
sub without {
    my ($t, $parent, $state) = @_;
    my $is = sub { defined $_[1] ? ($_[0] || '') eq $_[1] : !defined $_[0] };
    my @wrong;
    for (requests($t)) {
        my ($headers, $json) = @$_{qw(headers json)};
        my $meta = $json && $json->{params} && $json->{params}{_meta} || {};
        my $asks = $json && defined $json->{id};
        push @wrong, [ @$_{qw(method path headers json)} ]
            unless $is->($headers->{traceparent}, $parent)
                   && $is->($headers->{tracestate}, $state)
                   && (!$asks || $is->($meta->{traceparent}, $parent)
                                 && $is->($meta->{tracestate}, $state));
    }
    return \@wrong;
}


sub passed_on {
    my ($t) = @_;
    my %headers = (traceparent => $PARENT, tracestate => $STATE);
    my %seen;

    for my $way ('/modern', '/modern/sse/pages', '/session', '/resume') {
        play($t, $way, \%headers);
        is_deeply without($t, $PARENT, $STATE), [], 'each request says it';
        $seen{$_->{json} ? $_->{json}{method} : $_->{method}} = 1
            for requests($t);
    }
    is_deeply [ sort keys %seen ],
              [ qw(DELETE GET initialize notifications/initialized tools/call
                   tools/list) ], 'requests of every kind';

    play($t, '/session', { traceparent => $PARENT });
    is_deeply without($t, $PARENT, undef), [], 'without a state';

    my $later = "cc-$ID-00f067aa0ba902b7-01-what-comes";
    play($t, '/modern', { traceparent => $later });
    is_deeply without($t, $later, undef), [], 'of a later version';

    play($t, '/session', { traceparent => $PARENT,
                           tracestate => [ 'a=1', 'b=2' ] });
    is_deeply without($t, $PARENT, 'a=1,b=2'), [], 'a state in two headers';
    return;
}


sub invalid {
    my ($t) = @_;
    my $long = join ',', map { "k$_=v" } 1 .. 33;

    for ([ 'none', {} ],
         [ 'a state alone', { tracestate => $STATE } ],
         [ 'zeros', { traceparent => '00-' . '0' x 32 . '-'
                                     . 'a' x 16 . '-01' } ],
         [ 'capital letters', { traceparent => uc $PARENT } ],
         [ 'two of them', { traceparent => [ $PARENT, $PARENT ],
                            tracestate => $STATE } ])
    {
        my ($name, $headers) = @$_;
        play($t, $name eq 'none' ? '/session' : '/modern', $headers);
        is_deeply without($t, undef, undef), [], "$name: nothing is said";
        is_deeply [ grep { $_->{json} && $_->{json}{params}
                           && exists $_->{json}{params}{_meta} } requests($t) ],
                  [], 'and no _meta sent' if $name eq 'none';
    }
    for ('no state', 'a=1,a=2', $long) {
        play($t, '/modern', { traceparent => $PARENT, tracestate => $_ });
        is_deeply without($t, $PARENT, undef), [], 'a state that is none';
    }
    return;
}


sub shown {
    my ($t) = @_;
    my ($c, $run) = start($t, '/modern', { traceparent => $PARENT,
        tracestate => $STATE }, { tools => [ [ 'mcp-no_such', {} ] ] },
        { text => 'done', delay => 0.2 });
    my @bodies = ($run, map { $t->get($_)->{json} } "/agents/runs/$run->{id}",
                  "/agents/runs/$run->{id}?wait=10");
    $t->finished($run);
    push @bodies, map { $t->get("/agents/$_")->{json} } "runs/$run->{id}",
        map { "conversations$_" } '', map { "/$c->{id}$_" } '', '/runs',
        '/messages';
    my $text = join ' ', map { JSON::PP->new->encode($_) } @bodies;
    unlike $text, qr/\Q$ID\E|trace(?:parent|state)|rojo/, 'in no answer';
    return;
}


sub replayed {
    my ($t) = @_;
    my $c = $t->conversation(name => 'x');
    my $body = $t->run_body($c, 'hello');
    my $path = "/agents/conversations/$c->{id}/runs";
    my ($first, $second) = map { $t->post($path, $body, headers => {
        traceparent => "00-$ID-000000000000000$_-01" }) } 1, 2;
    is $first->{status}, 202, 'accepted';
    is $second->{status}, 202, 'again, as a part of another trace';
    is $second->{json}{id}, $first->{json}{id}, 'is the same run';
    $t->finished($first->{json});
    return;
}


sub taken_over {
    my ($t) = @_;
    my ($c, $run) = start($t, '/session',
        { traceparent => $PARENT, tracestate => $STATE },
        { tools => [ [ 'mcp-echo', { text => 'a' } ] ], delay => 0.3 },
        { tools => [ [ 'mcp-add', { a => 2, b => 3 } ] ], delay => 0.6 },
        { tool_results => 1 });
    ok $t->wait_for(10, sub { grep { ($_->{json} || {})->{method}
                                     && $_->{json}{method} eq 'tools/call' }
                              requests($t) }), 'a call was made';
    ok $t->stop, 'nginx is stopped';
    $t->mock->forget;
    $t->start;
    is $t->finished($run)->{final_text}, '5', 'the run goes on';
    my @requests = requests($t);
    cmp_ok scalar @requests, '>', 2, 'with requests' or diag $t->log;
    is_deeply without($t, $PARENT, $STATE), [], 'of the same trace';
    return;
}
