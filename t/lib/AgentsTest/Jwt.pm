package AgentsTest::Jwt;

# Keys and signed tokens, made by node: another implementation than the one
# that the module verifies with.
#
#     my $jwt = AgentsTest::Jwt->new(rsa => 'rsa', ec => 'P-256',
#                                    secret => 'oct-64');
#     my $jwks = $jwt->jwks('rsa', [ ec => { use => 'sig' } ]);
#     my %token = $jwt->tokens(
#         good => { alg => 'RS256', key => 'rsa' },
#         old  => { alg => 'RS256', key => 'rsa', claims => { exp => 1 } });
#
#     my @read = $jwt->verify(RS256 => 'rsa', @tokens);  # {header, payload}, or
#                                                        # undef
#
# A kind of key is rsa, rsa-BITS, P-256, P-384, P-521 or oct-BYTES.  jwks is
# the text of a set of their public parts (an oct's is its secret), whose kid is
# the name; members that are given change a key, undef removes one.
#
# Tokens are good unless told otherwise: claims and header are put over the
# defaults, undef removes one; payload and head are texts in place of both; form
# signs by the public key itself, see jwt.js.

use strict;
use warnings;
use File::Basename qw(dirname);
use File::Temp ();
use JSON::PP;

my $SCRIPT = dirname(__FILE__) . '/jwt.js';
my $json = JSON::PP->new->utf8->canonical;
my $text = JSON::PP->new->canonical;

# The parameters of "agents_auth jwt" that the default claims are made for.
our $RULES = 'issuer=https://issuer.test audience=agents company=tenant'
             . ' user=sub permissions=scope';


sub new {
    my ($class, %kinds) = @_;
    return bless { keys => node({ keys => \%kinds }) }, $class;
}


sub jwks {
    my ($self, @keys) = @_;
    return $json->encode({ keys => [ map { $self->public($_) } @keys ] });
}


sub public {
    my ($self, $key) = @_;
    my ($name, $changes) = ref $key ? @$key : ($key, {});
    my %jwk = %{$self->private($name)};
    delete @jwk{qw(d p q dp dq qi)};
    return changed({ %jwk, kid => $name }, $changes);
}


sub private {
    my ($self, $name) = @_;
    return $self->{keys}{$name} || die "there is no key $name\n";
}


sub tokens {
    my ($self, @tokens) = @_;
    my (@names, @requests);

    while (my ($name, $token) = splice @tokens, 0, 2) {
        push @names, $name;
        push @requests, $self->request($token);
    }
    my $signed = node({ sign => \@requests });
    my %token;
    @token{@names} = @$signed;
    return %token;
}


sub verify {
    my ($self, $alg, $key, @tokens) = @_;
    my $jwk = $self->private($key);
    return @{node({ verify => [ map { { alg => $alg, jwk => $jwk,
                                        token => $_ } } @tokens ] })};
}


sub request {
    my ($self, $token) = @_;
    my %claims = (iss => 'https://issuer.test', aud => 'agents',
                  exp => time + 3600, tenant => 'acme', sub => 'ann',
                  scope => 'read write');
    my $header = changed({ alg => $token->{alg}, typ => 'JWT' },
                         $token->{header});
    my $claims = changed(\%claims, $token->{claims});

    return {
        alg => $token->{sign} || $token->{alg}, form => $token->{form},
        jwk => $token->{key} ? $self->private($token->{key}) : undef,
        header => defined $token->{head} ? $token->{head}
                                         : $text->encode($header),
        payload => defined $token->{payload} ? $token->{payload}
                                             : $text->encode($claims),
    };
}


sub changed {
    my ($object, $changes) = @_;
    my %changed = (%$object, %{$changes || {}});
    delete @changed{grep { !defined $changed{$_} } keys %changed};
    return \%changed;
}


sub node {
    my ($asked) = @_;
    my $in = File::Temp->new;
    print $in $json->encode($asked);
    close $in or die "$in: $!\n";
    my $answer = qx(node "$SCRIPT" <"$in");
    die "node failed\n" if $?;
    return $json->decode($answer);
}


1;
