# The documentation against the source: the list of errors, the directives and
# their defaults' names, variables, the endpoints, and links between pages.

use strict;
use warnings;
use File::Temp ();
use FindBin;
use JSON::PP ();
use Test::More;

chdir "$FindBin::Bin/.." or die "$FindBin::Bin/..: $!\n";


sub slurp {
    my ($path) = @_;
    open my $in, '<', $path or die "$path: $!\n";
    local $/;
    return scalar <$in>;
}


# slug, title, status, incident of each entry, as lines.
sub catalog {
    my $text = slurp('src/http/ngx_http_agents_problem.c');
    my @lines;
    while ($text =~ /^\s+\{\ "([a-z-]+)",\ "([^"]+)",\ (\d+),\s+
                     (?:NULL|"(\w+)"),/mgx) {
        push @lines, join ' | ', $1, $2, $3 || '', defined $4 ? $4 : '';
    }
    return @lines;
}


sub documented {
    my @lines;
    for (split /\n/, slurp('docs/api.md')) {
        push @lines, join ' | ', $1, $2, $3, $4
            if /^\| `([a-z-]+)` \| ([^|]+?) \| (\d*) \| `?(\w*)`? \|$/;
    }
    return @lines;
}


# Method, path and permission of each endpoint, as lines.
sub routes {
    my $text = slurp('src/http/ngx_http_agents_routes.c');
    my @lines;
    while ($text =~ /\{\ NGX_HTTP_([A-Z]+),\ "([^"]+)",
                     \s+NGX_HTTP_AGENTS_PERMISSION_([A-Z]+),/gx) {
        push @lines, "$1 $2 " . lc $3;
    }
    return sort @lines;
}


sub described {
    my ($paths) = @_;
    my @lines;
    for my $path (keys %$paths) {
        for my $method (grep { !/^(?:parameters|options)$/ }
                        keys %{$paths->{$path}}) {
            my ($need) = @{$paths->{$path}{$method}{security}};
            my ($scope) = $need ? @{$need->{bearer}} : ':none';
            push @lines, uc($method) . " $path " . $scope =~ s/.*://r;
        }
    }
    return sort @lines;
}


my @catalog = catalog();
cmp_ok scalar @catalog, '>', 40, 'the catalog was read';
is_deeply [ documented() ], \@catalog, 'docs/api.md lists the errors';

my %code = map { $_ => slurp($_) } glob('*.c'), glob('src/*/*.[ch]');
my $incidents = join ' ', @catalog;
for (sort keys %code) {
    my %seen;
    for my $incident (grep { !$seen{$_}++ } $code{$_} =~ /"(AgentLoop\w+)"/g) {
        like $incidents, qr/\b$incident\b/, "$incident of $_ is in the catalog";
    }
}

# Directive => its default, of those that fill a slot: what the source merges
# into that slot where nothing is set, in milliseconds, bytes or as it is.
sub merged {
    my ($module) = @_;
    my %value;
    while ($module =~ /ngx_conf_(?:merge|init)_\w*value\(
                       \w+->(\w+),[^;]*?([\d\s*]+)\);/gx) {
        my ($slot, $product) = ($1, 1);
        $product *= $_ for grep { length } split /[\s*]+/, $2;
        $value{$slot} = $product;
    }
    my %default;
    while ($module =~ /ngx_string\("(agents_\w+)"\),\s*[^{}]*?
                       offsetof\(\w+,\ (\w+)\)/gx) {
        $default{$1} = $value{$2} if defined $value{$2};
    }
    return %default;
}


# The same of a default as a page has it.
sub plain {
    my ($text) = @_;
    my %unit = (ms => 1, s => 1000, m => 60000, h => 3600000);
    my %size = (k => 1024, m => 1024 * 1024);
    my ($kind, $n, $unit) = @$text;
    return $n if $unit eq '';
    return $n * ($kind eq 'SIZE' ? $size{$unit} : $unit{$unit});
}


my $configuration = slurp('docs/configuration.md');
my $readme = slurp('README.md');
my $module = $code{'ngx_http_agents_module.c'};
my @directives = $module =~ /ngx_string\("(agents_\w+)"\)/g;
cmp_ok scalar @directives, '>', 20, 'the directives were read';
for (@directives) {
    like $configuration, qr/\b$_\b/, "docs/configuration.md has $_";
    like $readme, qr/\b$_\b/, "README.md has $_";
}

my %default = merged($module);
cmp_ok scalar keys %default, '>', 15, 'defaults were read';
my %said = ('README.md' => {}, 'docs/configuration.md' => {});
for ([ 'README.md', $readme ], [ 'docs/configuration.md', $configuration ]) {
    my ($page, $text) = @$_;
    while ($text =~ /^\|\ `(agents_\w+)\ (TIME|SIZE|N)`\ \|\ `?(\d+)(\w*)`?\ \|
                     |^Syntax:\s+(agents_\w+)\ (TIME|SIZE|N);\n
                      Default:\s+\w+\ (\d+)(\w*);/mgx) {
        my ($name, @value) = defined $1 ? ($1, $2, $3, $4)
                                        : ($5, $6, $7, $8);
        $said{$page}{$name} = plain(\@value);
    }
    is_deeply $said{$page}, \%default, "the defaults of $page are those of "
                                       . 'the source';
}

for (map { $code{$_} =~ /ngx_string\("(agents_\w+)"\)/g }
     qw(src/http/ngx_http_agents_variables.c
        src/mcp/ngx_http_agents_background_filter.c))
{
    like $configuration, qr/\$$_\b/, "docs/configuration.md has \$$_";
}

my $metrics = slurp('docs/metrics.md');
my %listed = map { $_ => 1 } $metrics =~ /^\| `(agents_\w+)` \|/mg;
my %counted = map { $_ => 1 } map { $code{$_} =~ /"(agents_[a-z_]+)"/g }
              qw(src/base/ngx_http_agents_metrics.c
                 src/http/ngx_http_agents_metrics_page.c);
cmp_ok scalar keys %counted, '>', 30, 'the metrics were read';
is_deeply [ sort keys %listed ], [ sort keys %counted ],
          'docs/metrics.md lists the metrics';

SKIP: {
    skip 'there is no promtool', 1
        unless grep { -x "$_/promtool" } split /:/, $ENV{PATH};
    my ($rules) = $metrics =~ /^```yaml\n(.*?)^```$/ms;
    my $file = File::Temp->new(SUFFIX => '.yml');
    print $file $rules;
    close $file;
    my $said = qx(promtool check rules $file 2>&1);
    is $?, 0, 'promtool takes its rules' or diag($said);
    for ($rules =~ /\b(agents_\w+)\b/g) {
        (my $name = $_) =~ s/_bucket$//;
        ok $counted{$name}, "they ask for $_, which there is";
    }
}

my $openapi = JSON::PP::decode_json(slurp('docs/openapi.json'));
my $schemas = $openapi->{components}{schemas};
my @entries = map { [ split / \| /, $_, -1 ] } @catalog;
is_deeply $schemas->{ErrorSlug}{enum}, [ map { $_->[0] } @entries ],
          'docs/openapi.json lists the errors';
is_deeply $schemas->{IncidentCode}{enum},
          [ grep { length } map { $_->[3] } @entries ],
          'and those of runs';
is_deeply [ described($openapi->{paths}) ], [ routes() ], 'docs/openapi.json has each endpoint';

for my $page ('README.md', 'CONTRIBUTING.md', glob 'docs/*.md') {
    my ($folder) = $page =~ m{^(.*/)} ? $1 : '';
    for (slurp($page) =~ /\]\(([^):#]+)/g) {
        ok -e "$folder$_", "$page links to $_";
    }
}

done_testing;
