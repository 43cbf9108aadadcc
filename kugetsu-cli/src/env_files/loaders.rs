//! Variables by which a program runs, loads or trusts something else than it was started for.
//!
//! There are more than anybody can list; these are those of the programs that agents meet, by kind.
//! Whoever needs one sets it where kugetsu is started, and names it in `inherit_variables`.

/// Of shells: what they run before anything else, and how they read it.
const SHELLS: &str = "\
    BASHOPTS BASH_ENV BASH_LOADABLES_PATH CDPATH CONFIG_SHELL CONFIG_SITE ENV FCEDIT FPATH \
    GLOBIGNORE IFS PROMPT_COMMAND PS0 PS1 PS2 PS3 PS4 SHELL SHELLOPTS ZDOTDIR";

/// What is started to show, to edit or to ask, and what that does first.
const TOOLS: &str = "\
    BROWSER EDITOR EMACSLOADPATH EXINIT GVIMINIT LESS LESSCLOSE LESSKEY LESSKEYIN LESSOPEN \
    MANPAGER MYVIMRC PAGER SCREENRC TERMINAL VIMINIT VISUAL";

/// Of language runtimes: modules, options and settings that they load by themselves.
const RUNTIMES: &str = "\
    BUNDLE_APP_CONFIG BUNDLE_GEMFILE BUNDLE_PATH BUNDLE_USER_CONFIG BUN_BE_BUN BUN_OPTIONS \
    CAML_LD_LIBRARY_PATH CLASSPATH COMPOSER_HOME COVERAGE_PROCESS_START DOTNET_ADDITIONAL_DEPS \
    DOTNET_ROOT DOTNET_SHARED_STORE DOTNET_STARTUP_HOOKS ELECTRON_RUN_AS_NODE ELIXIR_ERL_OPTIONS \
    ERL_AFLAGS ERL_FLAGS ERL_LIBS ERL_ZFLAGS GEM_HOME GEM_PATH GUILE_LOAD_COMPILED_PATH \
    GUILE_LOAD_PATH IRBRC JAVA_HOME JAVA_OPTS JAVA_TOOL_OPTIONS JDK_JAVA_OPTIONS JULIA_DEPOT_PATH \
    JULIA_LOAD_PATH JULIA_PROJECT NODE_OPTIONS NODE_PATH NODE_REPL_EXTERNAL_MODULE OCAMLPATH \
    PERLLIB PHPRC PHP_INI_SCAN_DIR PIP_CONFIG_FILE PIP_PYTHON PYENV_ROOT PYTEST_ADDOPTS \
    PYTEST_PLUGINS PYTHONBREAKPOINT PYTHONEXECUTABLE PYTHONHOME PYTHONINSPECT PYTHONPATH \
    PYTHONPLATLIBDIR PYTHONPYCACHEPREFIX PYTHONSTARTUP PYTHONUSERBASE PYTHONWARNINGS RUBYLIB \
    RUBYOPT RUBYSHELL R_ENVIRON R_ENVIRON_USER R_HOME R_LIBS R_LIBS_USER R_PROFILE R_PROFILE_USER \
    TCLLIBPATH TCL_LIBRARY TS_NODE_COMPILER TS_NODE_PROJECT UV_CONFIG_FILE UV_PYTHON YARN_PLUGINS \
    YARN_RC_FILENAME YARN_YARN_PATH _JAVA_OPTIONS npm_execpath npm_node_execpath";

/// Of compilers and build tools: the programs that they start, and options that name one. Flags of
/// compilers are left to people, since hardly any of them does.
const BUILDS: &str = "\
    ACLOCAL_PATH ANT_ARGS ANT_OPTS AR AS CARGO CARGO_HOME CC CCACHE_COMPILER CCACHE_PREFIX \
    CMAKE_TOOLCHAIN_FILE COMPILER_PATH CPP CXX GCC_EXEC_PREFIX GNUMAKEFLAGS \
    GOAUTH GOENV GOFLAGS GOROOT GOTOOLCHAIN GRADLE_OPTS GRADLE_USER_HOME LD LIBRARY_PATH \
    M2_HOME M4PATH MAKE MAKEFILES MAKEFLAGS MAVEN_ARGS MAVEN_CONFIG MAVEN_HOME MAVEN_OPTS MFLAGS \
    MSBuildSDKsPath NIX_CONFIG NIX_PATH PKG_CONFIG RUSTC RUSTDOC \
    RUSTUP_HOME RUSTUP_TOOLCHAIN SBT_OPTS";

/// Of the C library, and of what loads libraries or starts programs in everybody's name.
const SYSTEM: &str = "\
    BAT_CONFIG_PATH CURL_HOME CVS_RSH GCONV_PATH GETCONF_DIR GIO_EXTRA_MODULES GIO_MODULE_DIR \
    GTK_MODULES HGMERGE HGRCPATH HOSTALIASES KRB5_CONFIG LOCPATH NLSPATH OPENSSL_CONF \
    OPENSSL_ENGINES OPENSSL_MODULES QT_PLUGIN_PATH RIPGREP_CONFIG_PATH RSYNC_CONNECT_PROG \
    RSYNC_RSH SASL_PATH SSH_SK_PROVIDER SVN_SSH TAR_OPTIONS WGETRC ZIPOPT";

/// How the names of families begin. Of git's only names and dates of authors are left.
const FAMILIES: &str = "\
    BASH_FUNC_ BUN_INSPECT CARGO_ALIAS_ CARGO_BUILD_RUSTC CARGO_BUILD_RUSTDOC CARGO_CREDENTIAL_ALIAS_ \
    CORECLR_ COR_ENABLE_PROFILING COR_PROFILER DYLD_ FZF_ GIT_ LD_ \
    LUA_CPATH LUA_INIT LUA_PATH PERL5";
const HARMLESS_OF_GIT: &[&str] = &["GIT_AUTHOR_", "GIT_COMMITTER_", "GIT_TERMINAL_PROMPT"];

/// How the names of programs to be started end, whoever starts them.
const PROGRAMS: &str = "\
    _ASKPASS _BROWSER _CREDENTIAL_PROVIDER _CREDENTIAL_PROVIDERS _EDITOR _LAUNCHER _LINKER _PAGER \
    _RUNNER _WRAPPER";

/// What npm takes from `npm_config_…`, in letters of any size.
const OF_NPM: &str = "\
    browser editor git globalconfig init_module node_gyp node_options prefix python script_shell \
    shell userconfig viewer";

/// By which nobody looks any more who a server is, or that others cannot listen.
const CARELESS: &str = "GOINSECURE NODE_TLS_REJECT_UNAUTHORIZED PYTHONHTTPSVERIFY SSLKEYLOGFILE";

/// Why an agent's programs are not to find this variable in an env file; `None` if they may.
pub(super) fn refused(name: &str) -> Option<&'static str> {
    let of_npm = name.to_ascii_lowercase();
    let of_npm = of_npm.strip_prefix("npm_config_");
    let is_in = |list: &str, name: &str| list.split(' ').any(|one| one == name);
    if is_in(CARELESS, name) || of_npm == Some("strict_ssl") {
        return Some("connections are not secure with it");
    }
    if HARMLESS_OF_GIT.iter().any(|front| name.starts_with(front)) {
        return None;
    }
    let is_loader = [SHELLS, TOOLS, RUNTIMES, BUILDS, SYSTEM].iter().any(|list| is_in(list, name))
        || FAMILIES.split(' ').any(|front| name.starts_with(front))
        || PROGRAMS.split(' ').any(|end| name.ends_with(end))
        || of_npm.is_some_and(|option| is_in(OF_NPM, option));
    is_loader.then_some("programs load or run other code by it")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_loads_or_runs_other_code_is_refused_whatever_program_it_is_for() {
        for name in "LD_PRELOAD LD_LIBRARY_PATH LD_AUDIT DYLD_INSERT_LIBRARIES BASH_ENV ENV IFS PROMPT_COMMAND \
             PS4 BASH_FUNC_ls%% NODE_OPTIONS PYTHONSTARTUP PYTHONBREAKPOINT PYTHONWARNINGS PERL5OPT PERL5DB \
             RUBYOPT GEM_PATH GIT_SSH_COMMAND GIT_CONFIG_COUNT GIT_EXTERNAL_DIFF GIT_ASKPASS SSH_ASKPASS \
             SUDO_ASKPASS BUN_OPTIONS BUN_INSPECT_PRELOAD RUSTC RUSTC_WRAPPER RUSTC_WORKSPACE_WRAPPER \
             CARGO_BUILD_RUSTC_WRAPPER CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_LINKER \
             CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUNNER CARGO_REGISTRY_CREDENTIAL_PROVIDER CARGO_ALIAS_B \
             OPENSSL_CONF MAKEFLAGS npm_config_script_shell NPM_CONFIG_SCRIPT_SHELL npm_config_node_options \
             DOTNET_STARTUP_HOOKS CORECLR_PROFILER_PATH LUA_INIT LUA_INIT_5_4 LESSOPEN LESSCLOSE MANPAGER PAGER \
             GH_PAGER GH_BROWSER HGEDITOR_EDITOR BROWSER VIMINIT EDITOR TAR_OPTIONS GOFLAGS GOAUTH \
             JAVA_TOOL_OPTIONS CLASSPATH CMAKE_C_COMPILER_LAUNCHER"
            .split_whitespace()
        {
            assert_eq!(refused(name), Some("programs load or run other code by it"), "{name}");
        }
        for name in ["NODE_TLS_REJECT_UNAUTHORIZED", "npm_config_strict_ssl", "SSLKEYLOGFILE"] {
            assert_eq!(refused(name), Some("connections are not secure with it"), "{name}");
        }
    }

    #[test]
    fn what_people_need_may_be_set() {
        for name in "GITHUB_TOKEN GH_TOKEN A DATABASE_URL NODE_ENV NODE_EXTRA_CA_CERTS SSL_CERT_FILE RUST_LOG \
             RUST_BACKTRACE CARGO_REGISTRY_TOKEN CARGO_REGISTRIES_ACME_TOKEN CARGO_REGISTRIES_ACME_INDEX \
             CARGO_TARGET_DIR CARGO_NET_OFFLINE GIT_AUTHOR_NAME GIT_COMMITTER_EMAIL GIT_TERMINAL_PROMPT \
             npm_config_registry NPM_TOKEN NPM_CONFIG_CACHE PIP_INDEX_URL UV_INDEX_URL PYTHONUNBUFFERED \
             GOPROXY GOPRIVATE GONOSUMDB RUSTFLAGS CARGO_BUILD_RUSTFLAGS CFLAGS CGO_CFLAGS LDFLAGS DOTNET_CLI_TELEMETRY_OPTOUT AWS_PROFILE AWS_REGION KUBECONFIG \
             DOCKER_HOST HTTPS_PROXY CI TZ LANG BUNDLE_GITHUB__COM BUN_CONFIG_REGISTRY SSH_AUTH_SOCK"
            .split_whitespace()
        {
            assert_eq!(refused(name), None, "{name}");
        }
    }
}
