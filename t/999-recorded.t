# What the tests before this one have asked the API and what it answered, all
# held against docs/openapi.json.  util/test.pl runs it when they have ended.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use AgentsTest;
use AgentsTest::Openapi;

my $folder = $ENV{AGENTS_RECORD};
plan skip_all => 'nothing was recorded'
    unless defined $folder && glob "$folder/*.exchanges";
plan skip_all => AgentsTest::Npm::why() unless AgentsTest::Openapi::tools();

my @all = $ENV{AGENTS_RECORD_ALL} ? '--all' : ();
my ($status, @lines) = AgentsTest::Openapi::check(@all, $folder);
my $summary = pop @lines;
is $status, 0, "the document says it: $summary"
    or diag join "\n", @lines;

done_testing;
