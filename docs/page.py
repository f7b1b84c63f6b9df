"""What each page of the reading edition gets beside the theme's own: a button that prints."""


def add_print_button(app, pagename, templatename, context, doctree):
    buttons = context.get("header_buttons")
    if buttons is not None:
        buttons.append(
            {
                "type": "javascript",
                "javascript": "window.print()",
                "text": "",
                "tooltip": "Print this page",
                "icon": "fas fa-print",
                "label": "print-button",
            }
        )


def setup(app):
    app.connect("html-page-context", add_print_button, priority=600)  # after the theme has made the list
    return {"parallel_read_safe": True, "parallel_write_safe": True}
