#!/usr/bin/perl

# Runs the tests as prove does: the unit tests' programs and t/*.t, or the files
# that are named.  One PostgreSQL cluster serves them all.  What they asked the
# API is recorded, and t/999-recorded.t looks at it in the end.
#
#     util/test.pl --build DIR [--jobs N] [--sanitize] [FILE...]

use strict;
use warnings;
use Cwd ();
use File::Path ();
use FindBin;
use Getopt::Long;
use TAP::Harness;
use lib "$FindBin::Bin/../t/lib";
use AgentsTest::Postgres;

my ($build, $jobs, $sanitize) = ('build', 1, 0);
GetOptions('build=s' => \$build, 'jobs=i' => \$jobs, 'sanitize' => \$sanitize)
    or die "usage: util/test.pl [--build DIR] [--jobs N] [--sanitize] [FILE...]"
           . "\n";

my $top = Cwd::abs_path("$FindBin::Bin/..");
chdir $top or die "$top: $!\n";
$build = Cwd::abs_path($build);

# a program whose source is gone is an earlier build's
my @units = grep { -x && m{/(test_\w+)$} && -e "t/unit/$1.c" }
            glob "$build/units/test_*";
my $last = 't/999-recorded.t';
my @tests = grep { $_ ne $last } @ARGV ? @ARGV : (@units, sort glob 't/*.t');

$ENV{AGENTS_BUILD} = $build;
$ENV{TEST_NGINX_LOAD_MODULES} = "$build/ngx_http_agents_module.so";
# the block tests' folder and port are not shared by two of them at a time
$ENV{TEST_NGINX_RANDOMIZE} = 1;

# CPAN's Test::Nginx where there is one, else the small reader of its format,
# which also looks for what sanitizers report
my @lib = ("$top/t/lib");
push @lib, "$top/t/lib/block"
    if $sanitize || !eval { require Test::Nginx::Socket; 1 };

sanitizers() if $sanitize;

my $postgres;
if (!$ENV{AGENTS_TEST_POSTGRES} && AgentsTest::Postgres::available()) {
    $postgres = AgentsTest::Postgres->new;
    $ENV{AGENTS_TEST_POSTGRES} = $postgres->conninfo('postgres');
}

$ENV{AGENTS_RECORD} = "$build/recorded";
$ENV{AGENTS_RECORD_ALL} = @ARGV ? '' : 1;
File::Path::remove_tree($ENV{AGENTS_RECORD});

my $harness = TAP::Harness->new({ jobs => $jobs, timer => 1, lib => \@lib,
    verbosity => 0, color => -t STDOUT,
    rules => { seq => [ { par => \@tests }, { seq => $last } ] } });
my $result = $harness->runtests(@tests, $last);
undef $postgres;
exit($result->all_passed ? 0 : 1);


# nginx itself is Debian's: the sanitizers' runtimes have to be there before
# the module, so a wrapper loads them first.  Leaks are looked for at exit, when
# nginx has unloaded its modules and no frame of them has a name any more: for
# that dlclose() is made to do nothing.
sub sanitizers {
    my @preload = map { chomp(my $path = qx(cc -print-file-name=$_)); $path }
                  qw(libasan.so libubsan.so);
    my $keep = "$build/keep-modules.so";
    my $wrapper = "$build/nginx-sanitized";
    # by its path, by which it starts a new one at an upgrade
    my ($nginx) = grep { defined && -x } $ENV{TEST_NGINX_BINARY},
                  map { "$_/nginx" } split(/:/, $ENV{PATH}), '/usr/sbin';
    die "no nginx\n" unless defined $nginx;

    open my $cc, '|-', qw(cc -x c -shared -fPIC -o), $keep, '-'
        or die "cc: $!\n";
    print $cc "int dlclose(void *handle) { (void) handle; return 0; }\n";
    close $cc or die "cc failed\n";

    open my $out, '>', $wrapper or die "$wrapper: $!\n";
    print $out "#!/bin/sh\n",
               "exec env LD_PRELOAD='@preload $keep' $nginx \"\$@\"\n";
    close $out or die "$wrapper: $!\n";
    chmod 0755, $wrapper;

    $ENV{TEST_NGINX_BINARY} = $wrapper;
    $ENV{ASAN_OPTIONS} = join ':', 'detect_leaks=1', 'halt_on_error=1',
        'detect_odr_violation=0', $ENV{ASAN_OPTIONS} || ();
    $ENV{LSAN_OPTIONS} = "suppressions=$top/util/lsan.supp"
                         . ':print_suppressions=0';
    $ENV{UBSAN_OPTIONS} = 'print_stacktrace=1';
    return;
}
