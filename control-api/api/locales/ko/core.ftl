## Titles of problems, by status.

problem-400 = 잘못된 요청
problem-401 = 로그인하세요
problem-403 = 허용되지 않음
problem-404 = 찾을 수 없음
problem-405 = 허용되지 않는 메서드
problem-409 = 충돌
problem-410 = 더 이상 없음
problem-412 = 그사이에 변경됨
problem-413 = 너무 큼
problem-415 = 지원되지 않는 형식
problem-422 = 허용되지 않는 값
problem-428 = 버전 필요
problem-429 = 요청이 너무 많음
problem-500 = 내부 오류
problem-503 = 사용할 수 없음
problem-504 = 시간 초과

## Mails of accounts. Links and codes stand on lines of their own, outside of messages.

mail-greeting = { $name }님, 안녕하세요.
mail-verify-subject = 이메일 주소 확인
mail-verify-body = 이메일 주소를 확인하려면 다음 링크를 여세요.
mail-reset-subject = 비밀번호 재설정
mail-reset-body = 새 비밀번호를 정하려면 다음 링크를 여세요.
mail-device-subject = 계정에 새로 로그인함
mail-device-body = { $device }에서 계정에 로그인했습니다.
mail-ignore = 본인이 아니라면 이 메시지를 무시하세요.
mail-secure = 본인이 아니라면 지금 비밀번호를 변경하세요.
mail-valid = { PLURAL($minutes) ->
   *[other] 링크는 { $minutes }분 동안 유효합니다.
}

## The page that signs a TV in by a code.

device-title = TV에서 로그인
device-enter = TV에 표시된 코드를 입력하세요.
device-confirm = { $device }에서 로그인할까요?
device-done = 완료되었습니다. TV가 자동으로 계속됩니다.
device-failed = 코드가 틀렸거나 만료되었습니다.
