#!/bin/sh
# isobit of a bundle: runs with an empty PATH and an empty environment, from any folder.
#   isobit test-gpu [options of the JUnit console]   runs the tests that need a GPU
#   isobit ...                                       everything else, see isobit --help
#   ISOBIT_JAVA_OPTS                                 further flags of the JVM
set -eu

self=$0
links=
if [ -x /usr/bin/readlink ]; then links=/usr/bin/readlink; elif [ -x /bin/readlink ]; then links=/bin/readlink; fi
while [ -L "$self" ] && [ -n "$links" ]; do
  link=$($links "$self")
  case $link in
    /*) self=$link ;;
    *) self=${self%/*}/$link ;;
  esac
done
case $self in
  */*) home=${self%/*}/.. ;;
  *) home=.. ;;
esac
home=$(cd -P "$home" && pwd)

run() {
  # shellcheck disable=SC2086  # flags are words
  exec "$home/runtime/bin/java" --add-modules jdk.incubator.vector --enable-native-access=ALL-UNNAMED \
    -Disobit.home="$home" ${ISOBIT_JAVA_OPTS-} "$@"
}

if [ "${1-}" = test-gpu ]; then
  shift
  tests=
  for jar in "$home"/test-lib/isobit-*-tests.jar; do tests=$tests:$jar; done
  run -cp "$home/lib/*:$home/test-lib/*" org.junit.platform.console.ConsoleLauncher execute \
    --disable-banner --fail-if-no-tests --include-tag=gpu --scan-classpath="${tests#:}" "$@"
fi
run -cp "$home/lib/*" dev.isobit.harness.Main "$@"
