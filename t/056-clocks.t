# A node whose clock is an hour off, beside one whose clock is right, on one
# PostgreSQL: times, leases and deadlines are by the database's clock.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use AgentsTest;
use File::Temp;
use Time::HiRes qw(sleep time);
use Time::Local qw(timegm);

my $MODEL = '/v1/chat/completions';

plan skip_all => 'PostgreSQL is not installed'
    unless grep { $_ eq 'postgres' } AgentsTest->stores;
# whose runtime has to be the first library
plan skip_all => 'not under sanitizers' if AgentsTest::build_dir() =~ /asan/;

my $dir = File::Temp::tempdir('agents-clock-XXXXXX', TMPDIR => 1,
                              CLEANUP => 1);
system('cc', '-O1', '-shared', '-fPIC', '-o', "$dir/clock.so",
       "$FindBin::Bin/lib/clock.c") == 0 or die "clock.c\n";

my %conf = (http => 'agents_lease 1s; agents_drain_timeout 100ms;',
            location => 'agents_run_timeout 4s;');
my $right = AgentsTest->new(store => 'postgres', %conf)->start;
my %off = (ahead => 3600, behind => -3600);
my %wrong = map { $_ => node($off{$_}) } keys %off;

subtest 'an hour off' => \&hours;
subtest 'a deadline' => \&deadline;
for (values %wrong) {
    delete $_->{mock};
    $_->clean('no error logged');
}
$right->clean('no error logged');

done_testing;


# Another nginx on the same store, in its own time.
sub node {
    my ($off) = @_;
    my $node = AgentsTest->new(store => $right->store, mock => $right->mock,
        tokens => $right->{tokens}, postgres => $right->{postgres}, %conf);
    local $ENV{LD_PRELOAD} = "$dir/clock.so";
    local $ENV{AGENTS_CLOCK} = $off;
    return $node->start;
}


# Seconds since 1970 of a time that the API shows.
sub seconds {
    my ($text) = @_;
    my ($y, $m, $d, $h, $min, $s) =
        $text =~ /^(\d+)-(\d+)-(\d+)T(\d+):(\d+):([\d.]+)Z$/ or return 0;
    return timegm(0, $min, $h, $d, $m - 1, $y) + $s;
}


# The same, of an answer's header.
sub date {
    my ($answer) = @_;
    my ($d, $mon, $y, $h, $min, $s) = $answer->{headers}{date}
        =~ /(\d+) (\w{3}) (\d{4}) (\d+):(\d+):(\d+) GMT/ or return 0;
    my $m = index('JanFebMarAprMayJunJulAugSepOctNovDec', $mon) / 3;
    return timegm($s, $min, $h, $d, $m, $y);
}


# For longer than a lease.
sub hours {
    my @runs = map { $_->run($_->conversation(name => 'a'),
                             script({ text => 'end', delay => 2.5 })) }
               ($right, values %wrong) x 2;

    for (sort keys %wrong) {
        my $is = date($wrong{$_}->get('/agents/conversations')) - time;
        ok abs($is - $off{$_}) < 60, "the clock of one is $_";
    }
    for my $run (@runs) {
        my $ended = $right->finished($run);
        is $ended->{status}, 'completed', 'a run completes'
            or diag explain $ended->{error};
        my @bad = grep { abs(seconds($ended->{$_}) - time) > 60 }
                  qw(created_at started_at finished_at);
        is_deeply \@bad, [], '    its times are right';
    }
    is scalar @{$right->mock->requests($MODEL)}, @runs, 'none is taken over';
    return;
}


# It counts from the acceptance, whoever has the run then.
sub deadline {
    my %runs = map { $_ => $wrong{$_}->run(
        $wrong{$_}->conversation(name => 'a'),
        script({ text => 'end', delay => 20 })) } keys %wrong;
    sleep 1.5;
    ok $wrong{$_}->reload, 'a run is handed over' for keys %wrong;

    for (sort keys %runs) {
        my $ended = $right->finished($runs{$_});
        is $ended->{error}{type}, 'AgentLoopRunTimeout', "$_: it ends";
        my $took = seconds($ended->{finished_at})
                   - seconds($ended->{created_at});
        ok $took > 3.8 && $took < 5.4, sprintf '    after %.1f s', $took;
    }
    return;
}
