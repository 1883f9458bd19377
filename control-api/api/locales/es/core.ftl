## Titles of problems, by status.

problem-400 = Solicitud incorrecta
problem-401 = Inicia sesión
problem-403 = No permitido
problem-404 = No encontrado
problem-405 = Método no permitido
problem-409 = Conflicto
problem-410 = Ya no existe
problem-412 = Modificado entretanto
problem-413 = Demasiado grande
problem-415 = Tipo de contenido no admitido
problem-422 = Valores no aceptables
problem-428 = Se requiere la versión
problem-429 = Demasiadas solicitudes
problem-500 = Error interno
problem-503 = No disponible
problem-504 = Tiempo agotado

## Mails of accounts. Links and codes stand on lines of their own, outside of messages.

mail-greeting = Hola, { $name }:
mail-verify-subject = Confirma tu correo electrónico
mail-verify-body = Abre este enlace para confirmar tu correo electrónico:
mail-reset-subject = Restablece tu contraseña
mail-reset-body = Abre este enlace para elegir una contraseña nueva:
mail-device-subject = Nuevo inicio de sesión en tu cuenta
mail-device-body = Se ha iniciado sesión en tu cuenta en { $device }.
mail-ignore = Si no has sido tú, ignora este mensaje.
mail-secure = Si no has sido tú, cambia tu contraseña ahora.
mail-valid = { PLURAL($minutes) ->
    [one] El enlace es válido durante { $minutes } minuto.
    [many] El enlace es válido durante { $minutes } de minutos.
   *[other] El enlace es válido durante { $minutes } minutos.
}

## The page that signs a TV in by a code.

device-title = Inicia sesión en tu televisor
device-enter = Introduce el código que muestra tu televisor.
device-confirm = ¿Quieres iniciar sesión en { $device }?
device-done = Listo. Tu televisor continúa solo.
device-failed = El código es incorrecto o ha caducado.
