## Titles of problems, by status.

problem-400 = Solicitação inválida
problem-401 = Entre na sua conta
problem-403 = Não permitido
problem-404 = Não encontrado
problem-405 = Método não permitido
problem-409 = Conflito
problem-410 = Não existe mais
problem-412 = Alterado nesse meio-tempo
problem-413 = Grande demais
problem-415 = Tipo de mídia não suportado
problem-422 = Valores não aceitáveis
problem-428 = Versão obrigatória
problem-429 = Solicitações demais
problem-500 = Erro interno
problem-503 = Indisponível
problem-504 = Tempo esgotado

## Mails of accounts. Links and codes stand on lines of their own, outside of messages.

mail-greeting = Olá, { $name },
mail-verify-subject = Confirme seu e-mail
mail-verify-body = Abra este link para confirmar seu e-mail:
mail-reset-subject = Redefina sua senha
mail-reset-body = Abra este link para escolher uma nova senha:
mail-device-subject = Novo acesso à sua conta
mail-device-body = Sua conta foi acessada em { $device }.
mail-ignore = Se não foi você, ignore esta mensagem.
mail-secure = Se não foi você, troque sua senha agora.
mail-valid = { PLURAL($minutes) ->
    [one] O link é válido por { $minutes } minuto.
    [many] O link é válido por { $minutes } de minutos.
   *[other] O link é válido por { $minutes } minutos.
}

## The page that signs a TV in by a code.

device-title = Entrar na sua TV
device-enter = Digite o código que aparece na sua TV.
device-confirm = Quer entrar em { $device }?
device-done = Pronto. Sua TV continua sozinha.
device-failed = O código está errado ou expirou.
