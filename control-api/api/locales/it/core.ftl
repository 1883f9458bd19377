## Titles of problems, by status.

problem-400 = Richiesta non valida
problem-401 = Accedi
problem-403 = Non consentito
problem-404 = Non trovato
problem-405 = Metodo non consentito
problem-409 = Conflitto
problem-410 = Non esiste più
problem-412 = Modificato nel frattempo
problem-413 = Troppo grande
problem-415 = Tipo di contenuto non supportato
problem-422 = Valori non accettabili
problem-428 = Versione richiesta
problem-429 = Troppe richieste
problem-500 = Errore interno
problem-503 = Non disponibile
problem-504 = Tempo scaduto

## Mails of accounts. Links and codes stand on lines of their own, outside of messages.

mail-greeting = Ciao { $name },
mail-verify-subject = Conferma il tuo indirizzo e-mail
mail-verify-body = Apri questo link per confermare il tuo indirizzo e-mail:
mail-reset-subject = Reimposta la password
mail-reset-body = Apri questo link per scegliere una nuova password:
mail-device-subject = Nuovo accesso al tuo account
mail-device-body = È stato effettuato l’accesso al tuo account su { $device }.
mail-ignore = Se non sei stato tu, ignora questo messaggio.
mail-secure = Se non sei stato tu, cambia subito la password.
mail-valid = { PLURAL($minutes) ->
    [one] Il link è valido per { $minutes } minuto.
    [many] Il link è valido per { $minutes } di minuti.
   *[other] Il link è valido per { $minutes } minuti.
}

## The page that signs a TV in by a code.

device-title = Accedi sulla TV
device-enter = Inserisci il codice mostrato dalla TV.
device-confirm = Vuoi accedere su { $device }?
device-done = Fatto. La TV continua da sola.
device-failed = Il codice è errato o scaduto.
