# How much text the tools of one run may bring in all: agents_run_results_max.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use AgentsTest;

my $OVER = qr/ more bytes were left out: all results of this run are/;
my $NOT_CALLED = qr/^The tool was not called: all results of this run are/;

my %image = (type => 'image', data => 'AAAA', mimeType => 'image/' . 'x' x 2000);
my $media = AgentsTest::Mcp::handler(call => sub {
    return { content => [ (\%image) x 3, { %image, type => 'audio' } ] };
});

for my $m (AgentsTest->matrix) {
    my $t = AgentsTest->new(%$m, handlers => { '/media' => $media },
        location => 'agents_tool_result_max 4k; agents_run_results_max 10k;',
        )->start;
    subtest "turn after turn with $m->{name}" => sub { turns($t) };
    subtest "side by side with $m->{name}" => sub { beside($t) };
    subtest "images and sounds with $m->{name}" => sub { media($t) };
    subtest "each run by itself with $m->{name}" => sub { each_run($t) };
    subtest "by another worker with $m->{name}" => sub { taken_over($t) };
    $t->clean("$m->{name}: no error logged");
}

done_testing;


sub big { return [ 'mcp-big', { bytes => $_[0] } ] }


# The results of a conversation: [is_error, text].
sub results {
    my ($t, $c) = @_;
    return map { [ $_->{is_error} ? 1 : 0,
                   join '', map { $_->{text} } @{$_->{content}} ] }
           grep { $_->{type} eq 'tool_result' }
           map { @{$_->{content_blocks}} } @{$t->messages($c)};
}


sub play {
    my ($t, $url, @turns) = @_;
    my $c = $t->conversation(mcp_servers => [ { alias => 'mcp',
                                                url => $url } ]);
    $t->mock->forget;
    my $run = $t->finished($t->run($c, script(map({ { tools => $_ } } @turns),
                                              { text => 'end' })));
    is $run->{final_text}, 'end', 'completed' or diag explain $run->{error};
    return results($t, $c);
}


sub calls {
    my ($t) = @_;
    return scalar grep { $_->{json} && $_->{json}{method} eq 'tools/call' }
                  @{$t->mock->requests('/mcp')};
}


sub turns {
    my ($t) = @_;
    my @r = play($t, $t->mcp, [ big(4000) ], [ big(5000) ], [ big(4000) ],
                 [ big(1) ], [ [ 'mcp-no_such', {} ] ]);
    is $r[0][1], 'x' x 4000, 'the first as it is';
    is $r[1][1], 'x' x 4096 . "\n[904 more bytes were left out]",
       'one over the limit of each';
    like $r[2][1], qr/^x{2144}\n\[1856$OVER/, 'one over what is left';
    like $r[3][1], $NOT_CALLED, 'then none is called';
    is_deeply [ map { $_->[0] } @r[0 .. 3] ], [ 0, 0, 0, 1 ],
              'which is an error';
    like $r[4][1], qr/no_such/, 'other errors are as they were';
    is calls($t), 3, 'calls that the server had';
    return;
}


sub beside {
    my ($t) = @_;
    my @r = play($t, $t->mcp, [ map { big(4000) } 1 .. 100 ], [ big(1) ]);
    my $kept = 0;
    $kept += length join '', $_->[1] =~ /^(x+)/ for @r;
    is $kept, 10240, 'as much as may be is kept, in whatever order';
    is scalar(grep { $_->[1] !~ /^x{4000}$|$OVER|$NOT_CALLED/ } @r), 0,
       'the others say so';
    like $r[-1][1], $NOT_CALLED, 'and nothing after them';
    return;
}


# A line for each, of which a server has a part to say.
sub media {
    my ($t) = @_;
    my @r = play($t, $t->mock->url('/media'),
                 map { [ [ 'mcp-echo', { text => 'x' } ] ] } 1 .. 4);
    like $r[0][1], qr/^\(an image.*\[\d+ more bytes were left out\]$/s,
         'over the limit of each';
    like $r[2][1], $OVER, 'over what is left';
    like $r[3][1], $NOT_CALLED, 'nothing left';
    return;
}


sub each_run {
    my ($t) = @_;
    my $c = $t->conversation(mcp => '');
    for my $n (1 .. 2) {
        my $run = $t->finished($t->run($t->reread($c), script(
            { tools => [ map { big(4000) } 1 .. 3 ] }, { text => 'end' })));
        is $run->{final_text}, 'end', "run $n";
    }
    is scalar(grep { $_->[1] =~ /^x{4000}$/ } results($t, $c)), 4,
       'has room of its own';
    return;
}


sub taken_over {
    my ($t) = @_;
    my $c = $t->conversation(mcp => '');
    my $run = $t->run($c, script({ tools => [ big(4000), big(4000) ] },
        { tools => [ big(4000) ], delay => 0.6 },
        { tools => [ big(1) ] }, { text => 'end' }));
    ok $t->wait_for(10, sub {
        my $live = $t->get("/agents/runs/$run->{id}")->{json}{live}{messages};
        return @$live == 2 && @{$live->[1]{content_blocks}} == 2;
    }), 'two results';
    ok $t->stop, 'nginx is stopped';
    $t->start;
    is $t->finished($run)->{final_text}, 'end', 'the run goes on';
    my @r = results($t, $c);
    like $r[2][1], qr/^x{2240}\n\[1760$OVER/, 'with what it had left';
    like $r[3][1], $NOT_CALLED, 'and no more';
    return;
}
