# Completion of headgate for bash. tests/lint/test_packages.py holds it to the commands and options of the program.

_headgate() {
  local word=$2 before=$3 command='' place words=()
  COMPREPLY=()

  case $before in
    -c | --config | --certificate | --key | --client-cert)
      compopt -o filenames
      mapfile -t COMPREPLY < <(compgen -f -- "$word")
      return ;;
    --listener)
      mapfile -t COMPREPLY < <(compgen -W "$(_headgate_listeners)" -- "$word")
      return ;;
    --alpn)
      mapfile -t COMPREPLY < <(compgen -W 'h2 http/1.1 postgresql' -- "$word")
      return ;;
    --listen | --backend | --admin | --sni | --source | --aws-vpc-endpoint | --azure-private-link | --gcp-psc-connection)
      return ;;
  esac

  for ((place = 1; place < COMP_CWORD; ++place)); do
    [[ ${COMP_WORDS[place]} == -* ]] || { command=${COMP_WORDS[place]}; break; }
  done
  case $command in
    '') words=(run demo check show explain import ticket-key version help --help --version) ;;
    run) words=(-c --config --listen --backend --certificate --key --admin --help) ;;
    demo) words=(--listen --backend --admin --help) ;;
    check | show) words=(-c --config --help) ;;
    explain)
      words=(-c --config --listener --sni --alpn --source --client-cert --aws-vpc-endpoint --azure-private-link
        --gcp-psc-connection --help) ;;
    import) words=(haproxy nginx hitch stunnel ghostunnel --help) ;;
    ticket-key) words=(new --help) ;;
    version) words=(--help) ;;
    help) words=(run demo check show explain import ticket-key version help --help) ;;
  esac
  if [[ $command == import && ${COMP_WORDS[place + 1]} =~ ^(haproxy|nginx|hitch|stunnel|ghostunnel)$ ]] && ((COMP_CWORD > place + 1)); then
    words=(--help)
  fi
  mapfile -t COMPREPLY < <(compgen -W "${words[*]}" -- "$word")

  # A file may stand alone.
  if [[ $word != -* ]] && { [[ $command =~ ^(run|check|show|explain)$ ]] || [[ ${words[*]} == --help && $command == import ]]; }; then
    compopt -o filenames
    mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < <(compgen -f -- "$word")
  fi
}

# The listeners of the configuration on the command line.
_headgate_listeners() {
  local place
  for ((place = 2; place < ${#COMP_WORDS[@]}; ++place)); do
    if [[ ${COMP_WORDS[place]} != -* && ${COMP_WORDS[place - 1]} != --listener && -f ${COMP_WORDS[place]} ]]; then
      "${COMP_WORDS[0]}" show "${COMP_WORDS[place]}" 2>/dev/null | sed -n '/^backends:/q; s/^  - name: //p'
      return
    fi
  done
}

complete -F _headgate headgate
