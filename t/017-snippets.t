# The configurations in README.md and docs/ are what nginx takes: each of them,
# as it stands but for files and hosts, passes "nginx -t".

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use AgentsTest;

# Where a directive of a snippet belongs, if it does not bring its place along.
my %HTTP = map { $_ => 1 } qw(agents_provider agents_data_plane log_format
    limit_req_zone limit_req_status map resolver upstream);
my %SERVER = map { $_ => 1 } qw(error_page location ssl_client_certificate
    ssl_verify_client);

plan skip_all => 'no openssl here' if system 'openssl version >/dev/null 2>&1';

my $t = AgentsTest->new(workers => 1, store => 'sqlite');
my $prefix = $t->prefix;
prepare();

my $n = 0;
for my $page (map { glob "$AgentsTest::TOP/$_" } 'README.md', 'docs/*.md') {
    my ($name) = $page =~ m{([^/]+)$};
    my $text = AgentsTest::slurp($page);

    while ($text =~ /^```nginx\n(.*?)^```$/msg) {
        my $snippet = $1;
        my $line = 2 + (() = substr($text, 0, $-[0]) =~ /\n/g);
        my ($status, $out) = check($snippet);
        is $status, 0, "$name:$line" or diag "$out\n$snippet";
        $n++;
    }
}
cmp_ok $n, '>', 15, 'there are some';

done_testing;


sub put {
    my ($path, $text) = @_;
    open my $out, '>', $path or die "$path: $!\n";
    print $out $text;
    close $out or die "$path: $!\n";
    return;
}


# Files of each kind that a snippet can name.
sub prepare {
    my $jwk = '{"kty": "oct", "k": "' . 'A' x 43 . '"}';
    my $made = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=x"
               . " -keyout $prefix/tls.key -out $prefix/tls.pem 2>/dev/null"
               . " && cp $prefix/tls.key $prefix/file.p8";
    system($made) == 0 or die "no certificate\n";
    put("$prefix/file.key", "0123456789\n");
    put("$prefix/file.jwk", $jwk);
    put("$prefix/file.json", "{\"keys\": [$jwk]}");
    $ENV{CRM_KEY} = '0123456789';
    return;
}


sub check {
    my ($text) = @_;
    my $module = AgentsTest::module_path();
    my $temp = join "\n", map { "${_}_temp_path $prefix/$_;" }
               qw(client_body proxy fastcgi uwsgi scgi);

    $text =~ s/\bfile:[^\s;]*\.(\w+)/file:$prefix\/file.$1/g;
    $text =~ s/(ssl_(?:client_)?certificate +)[^;]+;/$1$prefix\/tls.pem;/g;
    $text =~ s/(ssl_certificate_key +)[^;]+;/$1$prefix\/tls.key;/g;
    $text =~ s/endpoint +https:[^;]+;/endpoint https:\/\/127.0.0.1;/g;
    $text = whole($text) if $text !~ /^http \{/m;
    $text =~ s/^load_module .*$/load_module $module;/m
        or $text = "load_module $module;\n$text";
    $text =~ s/^user .*$//m if $> != 0;
    $text =~ s/^http \{$/http { $temp/m;

    put("$prefix/conf/nginx.conf", "pid $prefix/nginx.pid;\n$text");
    return $t->nginx('-t');
}


# A configuration with the snippet's statements where they belong; what it does
# not say is as simple as can be.
sub whole {
    my ($text) = @_;
    my %place = (http => '', server => '', location => '');

    for (statements($text)) {
        my ($directive) = /^\s*(?:#[^\n]*\n\s*)*(\w+)/ or next;
        my $where = $HTTP{$directive} ? 'http'
                    : $SERVER{$directive} ? 'server' : 'location';
        $place{$where} .= "$_\n";
    }

    my $has = sub { index($text, $_[0]) >= 0 };
    my $auth = $place{location} =~ /agents_auth/ ? '' : 'agents_auth token;';
    my $api = $has->('agents_api;') ? ''
              : "location /agents { agents_api; $auth $place{location} }";
    my $mcp = $has->('location /_agents_mcp') ? '' : <<'CONF';
        location /_agents_mcp {
            internal;
            proxy_pass $agents_mcp_upstream;
            proxy_ssl_verify on;
            proxy_ssl_trusted_certificate /etc/ssl/certs/ca-certificates.crt;
        }
CONF
    my $resolver = $has->('resolver ') ? '' : 'resolver 127.0.0.1;';
    $api =~ s/agents_api;/agents_api; agents_mcp_location \/_agents_mcp;/;
    return <<"CONF";
events {}
http {
    agents_store sqlite:$prefix/agents.db;
    $resolver
    $place{http}
    server {
        listen 127.0.0.1:$t->{port};
        $api
        $mcp
        $place{server}
    }
}
CONF
}


# The statements of the outermost level.
sub statements {
    my ($text) = @_;
    my ($depth, $from, $quote, @found) = (0, 0, '');

    while ($text =~ /(["'{};#])/g) {
        my $c = $1;
        if ($quote) {
            $quote = '' if $c eq $quote;
        } elsif ($c eq '#') {
            $text =~ /\n/g or last;
        } elsif ($c eq '"' || $c eq "'") {
            $quote = $c;
        } elsif ($c eq '{') {
            $depth++;
        } else {
            $depth-- if $c eq '}';
            next if $depth > 0;
            push @found, substr $text, $from, pos($text) - $from;
            $from = pos $text;
        }
    }
    return @found;
}
